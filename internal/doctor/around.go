package doctor

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// dialTimeout bounds one attempt to reach an application around its gate.
const dialTimeout = 2 * time.Second

// Around looks for ways to an upstream that go round the gateway: a port that
// the application opens to other machines than this one.
func Around(ctx context.Context, upstream string) Result {
	r := Result{Check: "around", Verdict: OK, Text: fmt.Sprintf("the application at %s listens to this machine alone", upstream)}
	if strings.HasPrefix(upstream, "unix/") {
		return r
	}
	host, port, err := net.SplitHostPort(upstream)
	if err != nil {
		return Result{Check: "around", Verdict: Note, Text: fmt.Sprintf("the application at %s could not be looked at: not HOST:PORT", upstream), Mend: "see to it that only the gateway reaches it"}
	}
	if host != "" && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return Result{Check: "around", Verdict: Note, Text: fmt.Sprintf("the application at %s is another machine, or open to others", upstream),
			Mend: "see to it that its network lets only the gateway reach it; this command cannot see that from here"}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return Result{Check: "around", Verdict: Note, Text: "the addresses of this machine could not be read: " + err.Error()}
	}
	for _, a := range addresses {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.IsLoopback() || ip.IP.IsLinkLocalUnicast() {
			continue
		}
		at := net.JoinHostPort(ip.IP.String(), port)
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", at)
		if err != nil {
			continue
		}
		conn.Close()
		return Result{Check: "around", Verdict: Finding, Text: fmt.Sprintf("the application at %s answers at %s too: whoever reaches that goes round the gateway", upstream, at),
			Mend: "let the application listen on 127.0.0.1 alone, or close the port to others"}
	}
	return r
}
