package accesslog

import (
	"net/url"
	"strings"
)

// columns are those of a log in the W3C's extended format, as its `#Fields:`
// line names them; IIS and CloudFront write it.
type columns struct {
	format Format
	// at has, by the name of a column, its place; -1 for none.
	date, time, method, stem, query, host, client, user, agent, status int
	tabs                                                               bool
}

const fieldsHeading = "#Fields:"

// columnsOf reads a heading; nil for another comment.
func columnsOf(line string) *columns {
	list, ok := strings.CutPrefix(line, fieldsHeading)
	if !ok {
		return nil
	}
	return columnsFrom(strings.Fields(list))
}

func columnsFrom(names []string) *columns {
	c := &columns{
		format: IIS, date: -1, time: -1, method: -1, stem: -1, query: -1, host: -1, client: -1, user: -1, agent: -1, status: -1,
	}
	for i, name := range names {
		switch strings.ToLower(name) {
		case "date":
			c.date = i
		case "time":
			c.time = i
		case "cs-method":
			c.method = i
		case "cs-uri-stem", "cs-uri":
			c.stem = i
		case "cs-uri-query":
			c.query = i
		case "x-host-header":
			c.host = i
		case "cs-host", "cs(host)":
			if c.host < 0 {
				c.host = i
			}
		case "c-ip":
			c.client = i
		case "cs-username":
			c.user = i
		case "cs(user-agent)":
			c.agent = i
		case "sc-status":
			c.status = i
		case "x-edge-location":
			c.format, c.tabs = CloudFront, true
		}
	}
	return c
}

// usualColumns are what a format has where no heading says otherwise.
func usualColumns(f Format) *columns {
	if f == CloudFront {
		return columnsFrom(strings.Fields("date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) " +
			"cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header"))
	}
	return columnsFrom(strings.Fields("date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status"))
}

func (c *columns) read(line string, e *Entry) Kind {
	var room [48]string
	w := room[:0]
	if c.tabs {
		for field := range strings.SplitSeq(line, "\t") {
			w = append(w, field)
		}
	} else {
		for field := range strings.FieldsSeq(line) {
			w = append(w, field)
		}
	}
	field := func(at int) string {
		if at < 0 || at >= len(w) {
			return ""
		}
		return dashless(w[at])
	}
	var ok bool
	if e.At, ok = isoTime(field(c.date) + " " + field(c.time)); !ok {
		return Broken
	}
	e.Method, e.Target = field(c.method), escaped(field(c.stem))
	if e.Method == "" && len(w) > c.method && c.method >= 0 {
		return Other
	}
	if !isMethod(e.Method) || e.Target == "" {
		return Broken
	}
	if query := field(c.query); query != "" {
		e.Target += "?" + escaped(query)
	}
	e.absolute()
	if host := field(c.host); host != "" {
		e.Host = host
	}
	e.Client, e.User, e.Status = field(c.client), field(c.user), statusOf(field(c.status))
	e.Agent = field(c.agent)
	if c.format == CloudFront {
		if plain, err := url.PathUnescape(e.Agent); err == nil {
			e.Agent = plain
		}
	}
	return Request
}

// escaped writes a path that was logged decoded as a client sent it: IIS
// does that.
func escaped(path string) string {
	plain := true
	for i := 0; i < len(path); i++ {
		if path[i] >= 0x80 || path[i] == '%' && !hexPair(path[i+1:]) {
			plain = false
			break
		}
	}
	if plain {
		return path
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if c := path[i]; c >= 0x80 || c == '%' && !hexPair(path[i+1:]) {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			continue
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

func hexPair(text string) bool {
	return len(text) >= 2 && isHex(text[0]) && isHex(text[1])
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
