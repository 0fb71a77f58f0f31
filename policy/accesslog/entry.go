package accesslog

import (
	"fmt"
	"strings"
)

// Entry is one request as an access log has it. Its strings are parts of the
// line, and good for as long as the line is kept.
type Entry struct {
	Method, Target string
	Host           string // empty where the log has none
	Client         string // an address or a name, without its port
	User           string // empty for nobody
	Agent          string // empty where the log has none
	At             int64  // Unix seconds
	Status         int    // of the answer; 0 where the log has none
}

// Kind is what a line of a log turned out to be.
type Kind int

// The kinds of lines. Other is one that is no request, or an empty one;
// Broken is in no format that is known.
const (
	Request Kind = iota
	Other
	Broken
)

// Format is the name of a format.
type Format string

// The formats. Those of one family are read by the same rules, and told apart
// for the report.
const (
	Common       Format = "common"
	Combined     Format = "combined"
	VHost        Format = "vhost_combined"
	Nginx        Format = "nginx"
	NginxISO     Format = "nginx-iso"
	NginxJSON    Format = "nginx-json"
	ApacheJSON   Format = "apache-json"
	Caddy        Format = "caddy"
	CaddyConsole Format = "caddy-console"
	IIS          Format = "iis"
	CloudFront   Format = "cloudfront"
	ALB          Format = "alb"
	HAProxy      Format = "haproxy"
	Traefik      Format = "traefik"
	TraefikJSON  Format = "traefik-json"
	Envoy        Format = "envoy"
	EnvoyJSON    Format = "envoy-json"
	JSON         Format = "json"
)

// Formats lists the names of all.
func Formats() []Format {
	return []Format{
		Common, Combined, VHost, Nginx, NginxISO, NginxJSON, ApacheJSON, Caddy, CaddyConsole, IIS, CloudFront, ALB, HAProxy, Traefik, TraefikJSON,
		Envoy, EnvoyJSON, JSON,
	}
}

// ParseFormat reads a format's name; the error lists all.
func ParseFormat(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		if string(f) == name {
			return f, nil
		}
		names = append(names, string(f))
	}
	return "", fmt.Errorf("no log format is called %q; there is %s", name, strings.Join(names, ", "))
}

// Parser reads the lines of logs, one at a time. The zero value finds out the
// format of each line, so that logs may be mixed. It is for one goroutine.
type Parser struct {
	// Only, where it is set, is the format of every line.
	Only Format
	// Lines counts requests by their format.
	Lines map[Format]int64

	columns *columns
	// last and since count the run of lines of one format, so that the map
	// is not asked for each.
	last  Format
	since int64
}

// Begin says that the lines of a block follow.
func (p *Parser) Begin(b *Block) { p.columns = b.columns }

// Parse reads one line, without its line feed.
func (p *Parser) Parse(line string, e *Entry) Kind {
	line = strings.TrimRight(line, " \r")
	if line == "" {
		return Other
	}
	*e = Entry{}
	if line[0] == '#' {
		if c := columnsOf(line); c != nil {
			p.columns = c
		}
		return Other
	}
	format, kind := p.read(line, e)
	if kind == Request {
		p.count(format)
	}
	return kind
}

func (p *Parser) count(f Format) {
	if f != p.last {
		p.flush()
		p.last = f
	}
	p.since++
}

func (p *Parser) flush() {
	if p.since > 0 {
		if p.Lines == nil {
			p.Lines = map[Format]int64{}
		}
		p.Lines[p.last] += p.since
		p.since = 0
	}
}

// Counted are the numbers of requests by their format.
func (p *Parser) Counted() map[Format]int64 {
	p.flush()
	return p.Lines
}

// read goes by how a line begins: no two formats begin alike.
func (p *Parser) read(line string, e *Entry) (Format, Kind) {
	if p.Only != "" {
		return p.Only, p.as(line, e)
	}
	switch {
	case p.columns != nil:
		return p.columns.format, p.columns.read(line, e)
	case line[0] == '{':
		return readJSON(line, e)
	case line[0] == '[':
		return Envoy, readEnvoy(line, e)
	case isConsole(line):
		return CaddyConsole, readConsole(line, e)
	case isBalancer(line):
		return ALB, readBalancer(line, e)
	default:
		return readText(line, e)
	}
}

// as reads a line of the one format that is expected.
func (p *Parser) as(line string, e *Entry) Kind {
	var kind Kind
	switch p.Only {
	case NginxJSON, ApacheJSON, Caddy, TraefikJSON, EnvoyJSON, JSON:
		_, kind = readJSON(line, e)
	case CaddyConsole:
		kind = readConsole(line, e)
	case IIS, CloudFront:
		c := p.columns
		if c == nil {
			c = usualColumns(p.Only)
		}
		kind = c.read(line, e)
	case ALB:
		kind = readBalancer(line, e)
	case HAProxy:
		kind = readHAProxy(line, e)
	case Envoy:
		kind = readEnvoy(line, e)
	case VHost:
		_, kind = readCLF(line, e, hostFirst)
	default:
		_, kind = readCLF(line, e, hostNever)
	}
	return kind
}

// Join adds what another parser has counted.
func (p *Parser) Join(o *Parser) {
	p.flush()
	for f, n := range o.Counted() {
		if p.Lines == nil {
			p.Lines = map[Format]int64{}
		}
		p.Lines[f] += n
	}
}
