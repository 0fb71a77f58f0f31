package accesslog

import (
	"net/netip"
	"strconv"
	"strings"
)

// hosts tells whether a virtual host stands in front of a line.
type hosts int

const (
	hostGuessed hosts = iota // where an address follows
	hostFirst
	hostNever
)

// readText reads what has its time in brackets: the formats that descend from
// the common one, and HAProxy's.
func readText(line string, e *Entry) (Format, Kind) {
	if format, kind := readCLF(line, e, hostGuessed); kind != Broken {
		return format, kind
	}
	*e = Entry{}
	return HAProxy, readHAProxy(line, e)
}

// readCLF reads the common format and those that grew from it:
//
//	[vhost] client ident user [time] "METHOD TARGET PROTOCOL" status bytes ["referer" "agent" …]
//
// The time may be ISO 8601's. What follows the agent tells nginx, which adds
// a quoted X-Forwarded-For, and Traefik, which adds a number, two quoted
// names and a duration.
func readCLF(line string, e *Entry, where hosts) (Format, Kind) {
	open := strings.Index(line, " [")
	if open < 0 {
		return "", Broken
	}
	if !e.who(withoutSyslog(line[:open]), where) {
		return "", Broken
	}
	format := Common
	rest := line[open+2:]
	var ok bool
	if e.At, ok = commonTime(rest); ok {
		rest = rest[len(commonLayout):]
	} else {
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return "", Broken
		}
		if e.At, ok = isoTime(rest[:end]); !ok {
			return "", Broken
		}
		format, rest = NginxISO, rest[end:]
	}
	if rest, ok = strings.CutPrefix(rest, `] "`); !ok {
		return "", Broken
	}
	end := quoteEnd(rest)
	if end < 0 {
		return "", Broken
	}
	behind := rest[end+1:]
	kind := e.request(rest[:end])
	tail, found := e.answer(behind)
	if kind == Request && format == Common {
		format = e.family(tail, found)
	}
	return format, kind
}

// answer reads what follows the request line: status, bytes, referer and
// agent; it returns what is left, and whether there was an agent.
func (e *Entry) answer(text string) (tail string, agent bool) {
	if len(text) >= 4 && text[0] == ' ' {
		ok := true
		if n := digits(text[1:4], &ok); ok {
			e.Status = int(n)
		}
	}
	_, rest, ok := strings.Cut(text, `"`)
	if !ok {
		return "", false
	}
	end := quoteEnd(rest)
	if end < 0 {
		return "", false
	}
	rest, ok = strings.CutPrefix(rest[end+1:], ` "`)
	if !ok {
		return "", false
	}
	if end = quoteEnd(rest); end < 0 {
		return "", false
	}
	if e.Agent = rest[:end]; e.Agent == "-" {
		e.Agent = ""
	}
	return rest[end+1:], true
}

func (e *Entry) family(tail string, agent bool) Format {
	switch {
	case agent && strings.HasSuffix(tail, "ms") && strings.Count(tail, `"`) == 4:
		return Traefik
	case e.Host != "":
		return VHost
	case !agent:
		return Common
	case strings.HasPrefix(tail, ` "`):
		return Nginx
	default:
		return Combined
	}
}

// withoutSyslog drops what a syslog daemon writes in front of a line:
// `Mar  2 12:00:00 host nginx: `.
func withoutSyslog(text string) string {
	if len(text) < 16 || text[3] != ' ' || text[6] != ' ' || text[9] != ':' || !strings.Contains(months, text[:3]) {
		return text
	}
	_, rest, ok := strings.Cut(text[16:], ": ")
	if !ok {
		return text
	}
	return rest
}

// who reads what stands before the time.
func (e *Entry) who(text string, where hosts) bool {
	client, rest, ok := strings.Cut(text, " ")
	if !ok {
		return false
	}
	if second, behind, more := strings.Cut(rest, " "); more && where != hostNever && strings.IndexByte(behind, ' ') > 0 &&
		(where == hostFirst || isAddress(second) && !isAddress(client)) {
		e.Host, client, rest = strings.ToLower(client), second, behind
	}
	_, user, ok := strings.Cut(rest, " ")
	if !ok {
		// nginx, host first: `host client - user` may leave out the ident.
		return false
	}
	e.Client = client
	if user != "-" {
		e.User = user
	}
	return true
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// request reads the request line. One that is none was sent by no browser.
func (e *Entry) request(text string) Kind {
	method, rest, ok := strings.Cut(text, " ")
	if !ok || !isMethod(method) {
		return Other
	}
	e.Method = method
	e.Target = rest
	if at := strings.LastIndexByte(rest, ' '); at >= 0 && strings.HasPrefix(rest[at+1:], "HTTP/") {
		e.Target = rest[:at]
	}
	if strings.IndexByte(e.Target, '\\') >= 0 {
		e.Target = unescape(e.Target)
	}
	return Request
}

// absolute takes the host from a target that is a whole URL, as balancers
// write it.
func (e *Entry) absolute() {
	_, rest, ok := strings.Cut(e.Target, "://")
	if !ok || e.Target[0] == '/' {
		return
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		e.Host, e.Target = rest, "/"
		return
	}
	e.Host, e.Target = rest[:end], rest[end:]
	if e.Target[0] == '?' {
		e.Target = "/" + e.Target
	}
}

func isMethod(word string) bool {
	for i := 0; i < len(word); i++ {
		if c := word[i]; (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return word != "" && word != "-"
}

// quoteEnd finds the quotation mark that ends a text and is not escaped.
func quoteEnd(text string) int {
	for from := 0; ; {
		at := strings.IndexByte(text[from:], '"')
		if at < 0 {
			return -1
		}
		at += from
		slashes := 0
		for at-slashes > 0 && text[at-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
		from = at + 1
	}
}

// unescape undoes what Apache and nginx write for bytes that would break a
// line: \", \\, \xHH.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		if text[i] == 'x' && i+2 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// withoutPort is the client of `address:port`.
func withoutPort(text string) string {
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a.Addr().String()
	}
	if at := strings.LastIndexByte(text, ':'); at > 0 && strings.IndexByte(text, ':') == at {
		return text[:at]
	}
	return strings.Trim(text, "[]")
}
