package accesslog

import "strings"

// words cuts a line at blanks; what stands in quotation marks is one word,
// without them.
func words(line string, into []string) []string {
	for {
		line = strings.TrimLeft(line, " ")
		if line == "" {
			return into
		}
		if line[0] == '"' {
			end := quoteEnd(line[1:])
			if end < 0 {
				return append(into, line[1:])
			}
			into, line = append(into, line[1:1+end]), line[end+2:]
			continue
		}
		end := strings.IndexByte(line, ' ')
		if end < 0 {
			return append(into, line)
		}
		into, line = append(into, line[:end]), line[end:]
	}
}

// isBalancer tells of the logs of AWS: a kind of connection, and a time.
func isBalancer(line string) bool {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "http", "https", "h2", "grpcs", "ws", "wss":
	default:
		rest = line
	}
	return len(rest) > 20 && rest[4] == '-' && rest[10] == 'T'
}

// readBalancer reads a line of an application load balancer of AWS, and of
// the classic one, which does not name the kind of connection:
//
//	https TIME ELB CLIENT:PORT TARGET:PORT T T T STATUS STATUS BYTES BYTES "METHOD URL PROTOCOL" "AGENT" …
func readBalancer(line string, e *Entry) Kind {
	var room [32]string
	w := words(line, room[:0])
	if len(w) > 0 && (len(w[0]) < 5 || w[0][4] != '-') {
		w = w[1:]
	}
	if len(w) < 13 {
		return Broken
	}
	var ok bool
	if e.At, ok = isoTime(w[0]); !ok {
		return Broken
	}
	e.Client, e.Agent, e.Status = withoutPort(w[2]), dashless(w[12]), statusOf(w[7])
	kind := e.request(strings.TrimRight(w[11], "- "))
	e.absolute()
	return kind
}

func dashless(text string) string {
	if text == "-" {
		return ""
	}
	return text
}

func statusOf(text string) int {
	ok := len(text) == 3
	return int(digits(text, &ok))
}

// readHAProxy reads the HTTP log of HAProxy, with what syslog writes before
// it, and captured headers in braces. Its times have no zone and are taken
// for UTC.
//
//	CLIENT:PORT [TIME.mmm] FRONTEND BACKEND/SERVER T/T/T/T/T STATUS BYTES … {HEADERS} "METHOD TARGET PROTOCOL"
func readHAProxy(line string, e *Entry) Kind {
	open := strings.Index(line, " [")
	if open < 0 || len(line) < open+23 {
		return Broken
	}
	before, rest := line[:open], line[open+2:]
	e.Client = withoutPort(before[strings.LastIndexByte(before, ' ')+1:])
	var ok bool
	if e.At, ok = localTime(rest); !ok || rest[20] != '.' {
		return Broken
	}
	_, rest, ok = strings.Cut(rest, "] ")
	if !ok {
		return Broken
	}
	quote := strings.IndexByte(rest, '"')
	if quote < 0 {
		return Other // of a connection, not of a request
	}
	middle, text := rest[:quote], rest[quote+1:]
	var room [16]string
	w := words(middle, room[:0])
	if len(w) < 5 || strings.Count(w[2], "/") < 3 {
		return Broken
	}
	e.Status = statusOf(w[3])
	if at := strings.IndexByte(middle, '{'); at >= 0 {
		e.captured(middle[at+1:])
	}
	if end := quoteEnd(text); end >= 0 {
		text = text[:end]
	}
	kind := e.request(text)
	e.absolute()
	return kind
}

// captured takes host and browser from the headers that HAProxy was told to
// log. It does not name them, so that they go by how they look.
func (e *Entry) captured(headers string) {
	headers, _, _ = strings.Cut(headers, "}")
	for value := range strings.SplitSeq(headers, "|") {
		switch {
		case value == "":
		case e.Agent == "" && strings.Contains(value, "/"):
			e.Agent = value
		case e.Host == "" && strings.Contains(value, ".") && !strings.ContainsAny(value, " /;,="):
			e.Host = value
		}
	}
}

// readEnvoy reads Envoy's own text format, and Istio's, which adds why an
// upstream failed:
//
//	[TIME] "METHOD TARGET PROTOCOL" STATUS FLAGS … "FORWARDED-FOR" "AGENT" "ID" "AUTHORITY" "UPSTREAM" …
func readEnvoy(line string, e *Entry) Kind {
	stamp, rest, ok := strings.Cut(line[1:], `] "`)
	if !ok {
		return Broken
	}
	if e.At, ok = isoTime(stamp); !ok {
		return Broken
	}
	end := quoteEnd(rest)
	if end < 0 {
		return Broken
	}
	kind := e.request(rest[:end])
	rest = rest[end+1:]
	if len(rest) > 3 {
		e.Status = statusOf(rest[1:4])
	}
	at := strings.Index(rest, `" "`)
	if at < 0 {
		return kind
	}
	from := strings.LastIndexByte(rest[:at], '"')
	if from < 0 {
		return Broken
	}
	var room [16]string
	w := words(rest[from:], room[:0])
	if len(w) < 4 {
		return Broken
	}
	forwarded, _, _ := strings.Cut(w[0], ",")
	e.Client, e.Agent, e.Host = dashless(forwarded), dashless(w[1]), dashless(w[3])
	if e.Client == "" && len(w) > 7 {
		e.Client = withoutPort(w[len(w)-3]) // Istio's downstream address
	}
	return kind
}
