package author

import (
	"net/netip"
	"strconv"
	"strings"
)

// entry is one request as an access log has it. Its strings are parts of the
// line, and good for as long as the line is kept.
type entry struct {
	method, target string
	host           string // empty where the log has none
	client         string
	user           string // empty for nobody
	agent          string
	at             int64 // Unix seconds
}

// lineKind is what a line of a log turned out to be.
type lineKind int

const (
	lineRequest lineKind = iota
	lineOther            // a line that is no request, or an empty one
	lineBroken
)

// parseLine reads one line, without its line feed, of any format.
func parseLine(line string, e *entry) lineKind {
	line = strings.TrimRight(line, " \r")
	switch {
	case line == "" || line[0] == '#':
		return lineOther
	case line[0] == '{':
		return parseJSON(line, e)
	default:
		return parseCommon(line, e)
	}
}

// parseCommon reads the common and the combined format, also with a virtual
// host in front:
//
//	[vhost] client ident user [time] "METHOD TARGET PROTOCOL" status bytes ["referer" "agent"]
func parseCommon(line string, e *entry) lineKind {
	*e = entry{}
	open := strings.Index(line, " [")
	if open < 0 {
		return lineBroken
	}
	if !e.who(line[:open]) {
		return lineBroken
	}
	rest := line[open+2:]
	var ok bool
	if e.at, ok = commonTime(rest); !ok {
		return lineBroken
	}
	rest, ok = strings.CutPrefix(rest[len(commonLayout):], `] "`)
	if !ok {
		return lineBroken
	}
	end := quoteEnd(rest)
	if end < 0 {
		return lineBroken
	}
	e.agent = lastQuoted(rest[end:])
	return e.request(rest[:end])
}

// who reads what stands before the time.
func (e *entry) who(text string) bool {
	client, rest, ok := strings.Cut(text, " ")
	if !ok {
		return false
	}
	if second, behind, more := strings.Cut(rest, " "); more && strings.IndexByte(behind, ' ') > 0 && isAddress(second) && !isAddress(client) {
		e.host, client, rest = strings.ToLower(client), second, behind
	}
	_, user, ok := strings.Cut(rest, " ")
	if !ok {
		return false
	}
	e.client = client
	if user != "-" {
		e.user = user
	}
	return true
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// request reads the request line. One that is none was sent by no browser.
func (e *entry) request(text string) lineKind {
	method, rest, ok := strings.Cut(text, " ")
	if !ok || !isMethod(method) {
		return lineOther
	}
	e.method = method
	e.target = rest
	if at := strings.LastIndexByte(rest, ' '); at >= 0 && strings.HasPrefix(rest[at+1:], "HTTP/") {
		e.target = rest[:at]
	}
	if strings.IndexByte(e.target, '\\') >= 0 {
		e.target = unescape(e.target)
	}
	return lineRequest
}

func isMethod(word string) bool {
	for i := 0; i < len(word); i++ {
		if c := word[i]; (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return word != ""
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

// lastQuoted is the last text in quotation marks at the end of a line.
func lastQuoted(text string) string {
	if len(text) < 2 || text[len(text)-1] != '"' {
		return ""
	}
	text = text[:len(text)-1]
	at := strings.LastIndexByte(text, '"')
	if at <= 0 {
		return ""
	}
	return text[at+1:]
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

const commonLayout = "02/Jan/2006:15:04:05 -0700"

// commonTime reads a time such as 10/Oct/2026:13:55:36 -0700 at the beginning
// of a text.
func commonTime(t string) (int64, bool) {
	if len(t) < len(commonLayout) || t[2] != '/' || t[6] != '/' || t[11] != ':' || t[14] != ':' || t[17] != ':' || t[20] != ' ' {
		return 0, false
	}
	ok := true
	day, year := digits(t[0:2], &ok), digits(t[7:11], &ok)
	hour, minute, second := digits(t[12:14], &ok), digits(t[15:17], &ok), digits(t[18:20], &ok)
	zone := digits(t[22:24], &ok)*3600 + digits(t[24:26], &ok)*60
	month := strings.Index("JanFebMarAprMayJunJulAugSepOctNovDec", t[3:6])
	if !ok || month < 0 || month%3 != 0 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 60 {
		return 0, false
	}
	switch t[21] {
	case '-':
		zone = -zone
	case '+':
	default:
		return 0, false
	}
	return daysSince1970(year, int64(month/3+1), day)*86400 + hour*3600 + minute*60 + second - zone, true
}

func digits(text string, ok *bool) int64 {
	var n int64
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c < '0' || c > '9' {
			*ok = false
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// daysSince1970 counts by years that begin in March, so that a leap day is
// the last of its year.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 719469
}
