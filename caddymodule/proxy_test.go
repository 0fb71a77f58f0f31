package caddymodule

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// manySided answers in as many ways as an upstream may, by path.
func manySided() http.Handler {
	mux := http.NewServeMux()
	large := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	written := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Type", "application/pdf")
		http.ServeContent(w, r, "", written, bytes.NewReader(large))
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		w.Header().Set("Content-Type", "text/html; charset=iso-8859-1")
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Write(large)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write(large)
		z.Close()
	})
	mux.HandleFunc("/chunks", func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "piece %d\n", i)
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Checksum")
		io.WriteString(w, "with trailers")
		w.Header().Set("X-Checksum", "abc")
		w.Header().Set(http.TrailerPrefix+"X-Late", "unannounced")
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "after hints")
	})
	mux.HandleFunc("/cookies", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "PHPSESSID=1; path=/; HttpOnly")
		w.Header().Add("Set-Cookie", "old=; expires=Thu, 01-Jan-1970 00:00:01 GMT")
		w.Header().Set("Cache-Control", "no-store, no-cache")
		w.Header().Set("Pragma", "no-cache")
		w.Header().Set("Location", "/elsewhere?a=%2F")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/basic", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="old app", charset="UTF-8"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		http.ServeContent(w, r, "", written, strings.NewReader(framePage))
	})
	mux.HandleFunc("/pieces", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Checksum")
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, framePage[:20])
		w.(http.Flusher).Flush()
		io.WriteString(w, framePage[20:])
		w.Header().Set("X-Checksum", "abc")
	})
	mux.HandleFunc("/packed", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, framePage)
		z.Close()
	})
	mux.HandleFunc("/fragment", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<tr><td>1</td></tr>")
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "id: %d\ndata: <html><head>\n\n", i)
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/poll", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Millisecond)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"news":"<head>"}`)
	})
	mux.HandleFunc("/preflight", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://other.test")
		w.Header().Set("Access-Control-Allow-Methods", "PUT")
		w.Header().Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("/nothing", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", r.Method, r.RequestURI) })
	return mux
}

// oneContinue leaves one plain word that the body may come, where an answer
// begins with any: the proxy says so itself, with no headers, and passes on
// that the app does, with its own, if that is first (RFC 9110 §15.2.1). A bare
// proxy does either, or both.
func oneContinue(answer string) string {
	const interim = "HTTP/1.1 100 Continue\r\n"
	rest, told := answer, false
	for strings.HasPrefix(rest, interim) {
		_, after, whole := strings.Cut(rest, "\r\n\r\n")
		if !whole {
			return answer
		}
		rest, told = after, true
	}
	if told {
		return interim + "\r\n" + rest
	}
	return answer
}

// timeless is an answer without what turns on the moment: how often the body
// is asked for, and into which chunks the answer's own was cut.
func timeless(answer string) string {
	answer = oneContinue(answer)
	interim := ""
	head, body, whole := strings.Cut(answer, "\r\n\r\n")
	for whole && strings.HasPrefix(head, "HTTP/1.1 1") { // early hints stand before the answer
		interim += head + "\r\n\r\n"
		head, body, whole = strings.Cut(body, "\r\n\r\n")
	}
	if !whole || !strings.Contains(head, "Transfer-Encoding: chunked") {
		return answer
	}
	wire := bufio.NewReader(strings.NewReader(body))
	content, err := io.ReadAll(httputil.NewChunkedReader(wire))
	if err != nil {
		return answer
	}
	trailers, _ := io.ReadAll(wire)
	return interim + head + "\r\n\r\n" + string(content) + "\r\n" + string(trailers)
}

// manyRequests are requests in as many ways as a client may make them, as
// they are written.
func manyRequests() map[string]string {
	upload := strings.Repeat("upload\x00\xff", 512<<10)
	sized := func(method, path, headers, body string) string {
		return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s", method, path, headers, len(body), body)
	}
	get := func(path string, headers ...string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
	}
	chunked := "Transfer-Encoding: chunked\r\n"
	return map[string]string{
		"plain":                     get("/"),
		"no headers at all":         "GET / HTTP/1.0\r\nHost: HOST\r\n\r\n",
		"query that is no query":    get("/a?%zz&=&&;x=[]{}|%20+"),
		"encoded letters":           get("/f%C3%B6%2Fb%20c+d;e=1,2?x=%C3%B6"),
		"many headers":              get("/", "Accept-Language: cy, en;q=0.5", "X-Twice: 1", "X-Twice: 2", "If-Match: \"x\"", "User-Agent: old\xe9"),
		"TE and keep-alive":         get("/", "TE: trailers", "Keep-Alive: timeout=5"),
		"HEAD":                      strings.Replace(get("/file"), "GET", "HEAD", 1),
		"HEAD of chunks":            strings.Replace(get("/chunks"), "GET", "HEAD", 1),
		"OPTIONS":                   strings.Replace(get("/file"), "GET", "OPTIONS", 1),
		"a method of its own":       strings.Replace(get("/file"), "GET", "PROPFIND", 1),
		"large answer":              get("/file"),
		"range":                     get("/file", "Range: bytes=5-9"),
		"range from the end":        get("/file", "Range: bytes=-7", `If-Range: "v1"`),
		"range that is not there":   get("/file", "Range: bytes=99999999-"),
		"not modified by tag":       get("/file", `If-None-Match: "v1"`),
		"not modified since":        get("/file", "If-Modified-Since: Fri, 02 Jan 2026 03:04:05 GMT"),
		"gzip":                      get("/gzip", "Accept-Encoding: gzip, br"),
		"no gzip wanted":            get("/gzip", "Accept-Encoding: identity"),
		"chunks":                    get("/chunks"),
		"trailers in the answer":    get("/trailers", "TE: trailers"),
		"early hints":               get("/hints"),
		"cookies and a redirect":    get("/cookies", "Cookie: PHPSESSID=0; lang=cy"),
		"a challenge of its own":    get("/basic", "Authorization: Basic am9lOng="),
		"no content":                get("/nothing"),
		"page":                      get("/page"),
		"page in pieces":            get("/pieces", "TE: trailers"),
		"packed page":               get("/packed", "Accept-Encoding: gzip"),
		"fragment of a page":        get("/fragment"),
		"HEAD of a page":            strings.Replace(get("/page"), "GET", "HEAD", 1),
		"range of a page":           get("/page", "Range: bytes=5-40"),
		"page that has not changed": get("/page", `If-None-Match: "v1"`),
		"event stream":              get("/events", "Accept: text/event-stream"),
		"long poll":                 get("/poll"),
		"preflight": strings.Replace(get("/preflight", "Origin: https://other.test", "Access-Control-Request-Method: PUT",
			"Access-Control-Request-Headers: x-a"), "GET", "OPTIONS", 1),
		"error":                       get("/broken"),
		"form":                        sized("POST", "/form", "Content-Type: application/x-www-form-urlencoded\r\n", "a=1&b=%C3%A4&_method=PUT"),
		"JSON":                        sized("PATCH", "/api", "Content-Type: application/json\r\n", `{"a":1}`),
		"DELETE without a body":       sized("DELETE", "/api/1", "", ""),
		"large upload":                sized("POST", "/upload", "Content-Type: multipart/form-data; boundary=x\r\n", upload),
		"large upload, asked first":   sized("PUT", "/upload", "Expect: 100-continue\r\n", upload),
		"chunked upload":              "POST /upload HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n" + chunked + "\r\n5\r\nhello\r\n80000\r\n" + upload[:0x80000] + "\r\n0\r\n\r\n",
		"chunked upload and trailers": "POST /upload HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nTrailer: X-Sum\r\n" + chunked + "\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n",
		"chunked with Expect":         "POST /upload HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nExpect: 100-continue\r\n" + chunked + "\r\n5\r\nhello\r\n0\r\n\r\n",
	}
}

func TestARequestPassesAsThroughABareProxy(t *testing.T) {
	for _, option := range []string{"", "inject_step_up"} {
		t.Run(option, func(t *testing.T) {
			p := startPair(t, option, manySided())
			for name, request := range manyRequests() {
				t.Run(name, func(t *testing.T) { p.compare(t, request) })
			}
		})
	}
}

// asSignedIn is a request with the cookies of somebody who is signed in.
func (p *pair) asSignedIn(request string) string {
	if head, rest, ok := strings.Cut(request, "Cookie: "); ok {
		return head + "Cookie: " + p.cookie + "; " + rest
	}
	return strings.Replace(request, "\r\n\r\n", "\r\nCookie: "+p.cookie+"\r\n\r\n", 1)
}

// compare sends a request by the gateway and by the bare proxy.
func (p *pair) compare(t *testing.T, request string) {
	want := timeless(p.exchange(p.bare, request))
	wantTold := p.got()
	got := timeless(p.exchange(p.url, p.asSignedIn(request)))
	if diff := cmp.Diff(wantTold, p.got()); diff != "" {
		t.Errorf("the upstream got something else: %s", diff)
	}
	// The one thing that the gateway adds to an answer: what is not
	// public and says nothing of caching is no shared cache's.
	if !strings.Contains(want, "Cache-Control: ") {
		if !strings.Contains(got, "\r\nCache-Control: private, no-cache\r\n") {
			t.Error("no Cache-Control: private, no-cache")
		}
		got = strings.Replace(got, "Cache-Control: private, no-cache\r\n", "", 1)
	}
	if p.scripted && strings.Contains(want, "Content-Type: text/html") {
		// What a fetch gets is not what a window gets.
		const vary = "Vary: Sec-Fetch-Dest\r\n"
		if !strings.Contains(got, vary) {
			t.Error("a cache may give a window what was fetched")
		}
		got = strings.Replace(got, vary, "", 1)
	}
	if got != want {
		t.Errorf("another answer: %s", cmp.Diff(short(want), short(got)))
	}
	public := p.exchange(p.url, strings.Replace(request, " /", " /public/", 1))
	p.got()
	if strings.Contains(public, "Cache-Control: private") {
		t.Error("Cache-Control on a public path")
	}
}

func short(text string) string { return text[:min(len(text), 2000)] }

func TestAnswersOfErrorsComeFromHandleErrors(t *testing.T) {
	site := `{{site}} {
	stepgate {
		policy {
			default signed_in
		}
	}
	reverse_proxy 127.0.0.1:1
	handle_errors {
		respond "sorry {http.auth.user.id}: {err.status_code}" {err.status_code}
	}
}
`
	g := startGateway(t, site, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.signIn(b.get("/cases").at("/sign-in"), "joe").want(http.StatusBadGateway, "/cases")
	if p.body != "sorry joe: 502" {
		t.Errorf("got %q", p.body)
	}
}

func TestAccessLogNamesWhoWasLetInAndWhatItTook(t *testing.T) {
	head := strings.Replace(loggedHead, "{{options}}", "", 1)
	g := startGateway(t, head+strings.Replace(walkSite, "{\n", "{\n\tlog {\n\t\toutput file {{dir}}/access.log\n\t}\n", 1), nil)
	g.addUser("joe")
	b := g.browser()
	b.get("/assets/before").want(200, "")
	b.signIn(b.get("/"), "joe").want(200, "/")
	b.get("/assets/after").want(200, "")
	for uri, user := range map[string]string{"/assets/before": "", "/": "joe", "/assets/after": "joe"} {
		lines := g.accessed(uri)
		if len(lines) == 0 || lines[len(lines)-1].User != user {
			t.Errorf("%s: %+v, want user %q", uri, lines, user)
		}
	}
	refused := b.get("/debug/vars", fetch).want(403, "")
	for uri, want := range map[string]string{
		"/assets/after": "allow  ", "/": "allow signed_in ", "/debug/vars": "deny  " + problemReference(refused), "/cases/1": "step-up mfa ",
	} {
		if uri == "/cases/1" {
			want += problemReference(b.get(uri, fetch).want(401, ""))
		}
		lines := g.accessed(uri)
		if l := lines[len(lines)-1].Stepgate; l.Outcome+" "+l.Levels+" "+l.Reference != want {
			t.Errorf("%s: the log says %+v, want %q", uri, l, want)
		}
	}
	for _, l := range g.accessed("") {
		for name, values := range l.Request.Headers {
			if text := strings.Join(values, " "); strings.Contains(text, "eyJ") || name == "Cookie" && text != "REDACTED" {
				t.Errorf("a secret in the access log: %s: %s", name, text)
			}
		}
	}
}

// problemReference is the reference in a refusal that a program gets.
func problemReference(p *page) string {
	var problem struct{ Reference string }
	json.Unmarshal([]byte(p.body), &problem)
	return problem.Reference
}

// accessLine is a line of Caddy's access log.
type accessLine struct {
	User     string `json:"user_id"`
	Status   int    `json:"status"`
	Stepgate struct {
		Outcome   string `json:"outcome"`
		Levels    string `json:"levels"`
		Reference string `json:"reference"`
	} `json:"stepgate"`
	Request struct {
		URI     string      `json:"uri"`
		Headers http.Header `json:"headers"`
	} `json:"request"`
}

// accessed are the lines of the access log for a URI, or all.
func (g *rig) accessed(uri string) []accessLine {
	g.t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, "access.log"))
	if err != nil {
		g.t.Fatal(err)
	}
	var found []accessLine
	for line := range strings.Lines(string(text)) {
		var l accessLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			g.t.Fatal(err)
		}
		if uri == "" || l.Request.URI == uri {
			found = append(found, l)
		}
	}
	return found
}
