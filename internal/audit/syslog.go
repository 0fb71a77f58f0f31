package audit

import (
	"bytes"
	"fmt"
	"strings"
)

// syslogFacility is that of security messages (RFC 5424 §6.2.1, "authpriv").
const syslogFacility = 10

// syslogSeverities by ours.
var syslogSeverities = map[Severity]int{Info: 6, Warn: 4, Critical: 2}

// structuredID names our fields. 32473 is the number that RFC 5612 keeps for
// those who have none of their own.
const structuredID = "stepgate@32473"

// Syslog is the record as a message of RFC 5424, without a frame around it: the
// message text is Line, so that a receiver can verify what it kept.
func (r Record) Syslog(hostname string) []byte {
	severity, ok := syslogSeverities[r.Name.Severity()]
	if !ok {
		severity = syslogSeverities[Warn]
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "<%d>1 %s %s stepgate - %s [%s seq=\"%d\"", syslogFacility*8+severity, r.At.UTC().Format(timeFormat), printable(hostname, 255), printable(string(r.Name), 32), structuredID, r.Seq)
	for _, f := range []Field{{"account", r.Account}, {"actor", r.Actor}, {"organisation", r.Organisation}, {"address", r.Address}, {"outcome", r.Outcome}, {"reference", r.Reference}} {
		if f.Value != "" {
			fmt.Fprintf(&b, " %s=\"%s\"", f.Key, structured.Replace(f.Value))
		}
	}
	b.WriteString("] \ufeff")
	b.Write(r.Line())
	return b.Bytes()
}

// structured escapes what a value of structured data may not hold as it is (RFC
// 5424 §6.3.3).
var structured = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

// printable is a name of a header: printable ASCII of a length, or "-".
func printable(name string, limit int) string {
	name = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, name)
	if name == "" {
		return "-"
	}
	return name[:min(len(name), limit)]
}
