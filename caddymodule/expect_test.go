package caddymodule

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A client that waits for permission before it sends a body is told at once:
// to go on, or that it need not.
func TestWhoExpectsToContinueIsAnsweredAtOnce(t *testing.T) {
	site := strings.Replace(walkSite, "deny ", "require mfa /app.do?action=delete*\n\t\t\trequire mfa DELETE /forms/*\n\t\t\tpublic /forms/* /app.do\n\t\t\tdeny ", 1)
	g := startGateway(t, site, nil)
	for name, request := range map[string]struct {
		head   string
		status int
	}{
		"a program":        {"POST /cases/1 HTTP/1.1\r\nContent-Type: application/octet-stream\r\n", 401},
		"a form":           {"POST /cases/1 HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n", 401},
		"a navigation":     {"POST /cases/1 HTTP/1.1\r\nAccept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\n", 303},
		"an upload":        {"PUT /cases/1 HTTP/1.1\r\n", 401},
		"denied":           {"POST /debug/1 HTTP/1.1\r\n", 403},
		"malformed":        {"POST /a/../b HTTP/1.1\r\n", 400},
		"public":           {"POST /assets/1 HTTP/1.1\r\n", 100},
		"a form that asks": {"POST /app.do HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n", 100},
		"a sign-in":        {"POST /.stepgate/sign-in HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n", 100},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write([]byte(request.head + "Host: " + strings.TrimPrefix(g.url, "http://") + "\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n"))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if answer.StatusCode != request.status {
			t.Errorf("%s: status %d, want %d", name, answer.StatusCode, request.status)
		}
		conn.Close()
	}
}
