package caddymodule

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// startTeller is an upstream that answers every request with the bytes that
// its path has in answers, and leaves the connection open.
func startTeller(t *testing.T, answers map[string]string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for read := bufio.NewReader(conn); ; {
					r, err := http.ReadRequest(read)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					io.WriteString(conn, answers[r.URL.Path])
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestAnAnswerIsOneAnswer has an upstream say in contradictory ways where its
// answer ends. What it sends beyond the end is nobody's: no browser may take
// it for the answer to its next request, on a connection that others share
// behind the gateway.
func TestAnAnswerIsOneAnswer(t *testing.T) {
	const (
		ok       = "HTTP/1.1 200 OK\r\n"
		chunks   = "5\r\nchunk\r\n0\r\n\r\n"
		smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
	)
	rows := map[string]struct {
		answer string
		status int
		body   string
	}{
		"/public/unknown-coding":    {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks, 502, ""},
		"/public/identity":          {ok + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", 502, ""},
		"/public/chunked-twice":     {ok + "Transfer-Encoding: chunked, chunked\r\n\r\n" + chunks, 502, ""},
		"/public/odd-chunked":       {ok + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunks, 502, ""},
		"/public/chunks-and-length": {ok + "Transfer-Encoding: chunked\r\nContent-Length: 500\r\n\r\n" + chunks, 200, "chunk"},
		"/public/two-lengths":       {ok + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nhello", 502, ""},
		"/public/signed-length":     {ok + "Content-Length: +5\r\n\r\nhello", 502, ""},
		"/public/beyond-the-length": {ok + "Content-Length: 4\r\n\r\npage" + smuggled, 200, "page"},
		"/public/beyond-the-chunks": {ok + "Transfer-Encoding: chunked\r\n\r\n" + chunks + smuggled, 200, "chunk"},
		"/public/nothing":           {"HTTP/1.1 204 No Content\r\nContent-Length: 90\r\n\r\n" + smuggled, 204, ""},
		"/public/not-modified":      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 90\r\n\r\n" + smuggled, 304, ""},
	}
	answers := map[string]string{"/public/plain": ok + "Content-Length: 5\r\n\r\nplain"}
	for path, row := range rows {
		answers[path] = row.answer
	}
	g := startGateway(t, strings.Replace(switchingSite, "UPSTREAM", startTeller(t, answers), 1), nil)
	addr := mustParse(g.url).Host
	for path, row := range rows {
		t.Run(path, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			read := bufio.NewReader(conn)
			for _, step := range []struct {
				path   string
				status int
				body   string
			}{{path, row.status, row.body}, {"/public/plain", 200, "plain"}} {
				io.WriteString(conn, "GET "+step.path+" HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
				answer, err := http.ReadResponse(read, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				if answer.StatusCode != step.status || string(body) != step.body || err != nil {
					t.Fatalf("%s: %s %q, %v; want %d %q", step.path, answer.Status, body, err, step.status, step.body)
				}
				for _, name := range []string{"Transfer-Encoding", "Content-Length"} {
					if len(answer.Header[name]) > 1 {
						t.Errorf("%s: %q", name, answer.Header[name])
					}
				}
			}
		})
	}
}
