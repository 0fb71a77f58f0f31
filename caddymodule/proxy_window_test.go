package caddymodule

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parted is an answer in its parts.
type parted struct {
	Status  int
	Header  http.Header
	Body    string
	Trailer http.Header
}

// lastAnswer reads a raw answer, and how many came before it that are not the
// last word.
func lastAnswer(t *testing.T, raw, method string) (a parted, early []string) {
	t.Helper()
	read := bufio.NewReader(strings.NewReader(raw))
	for {
		resp, err := http.ReadResponse(read, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%.300q: %v", raw, err)
		}
		if resp.StatusCode < 200 {
			early = append(early, resp.Status+" "+resp.Header.Get("Link"))
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%.300q: %v", raw, err)
		}
		if resp.Header.Get("Content-Encoding") == "gzip" {
			unpack, err := gzip.NewReader(strings.NewReader(string(body)))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(unpack); err != nil {
				t.Fatal(err)
			}
		}
		if resp.TransferEncoding != nil {
			resp.Header["Transfer-Encoding"] = resp.TransferEncoding
		}
		return parted{resp.StatusCode, resp.Header, string(body), resp.Trailer}, early
	}
}

// TestInAWindowTheScriptIsAllThatIsAdded has the answers that a window shows
// compared with those of a bare proxy: apart from the script's tag, and what
// its header says of it, they are the same.
func TestInAWindowTheScriptIsAllThatIsAdded(t *testing.T) {
	p := startPair(t, "inject_step_up", manySided())
	for name, request := range manyRequests() {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(request, " HTTP/1.0\r\n") {
				t.Skip("a window speaks HTTP/1.1")
			}
			request = strings.Replace(request, "\r\nConnection: close\r\n", "\r\nConnection: close\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: same-origin\r\n", 1)
			method, _, _ := strings.Cut(request, " ")
			want, wantEarly := lastAnswer(t, oneContinue(p.exchange(p.bare, request)), method)
			wantTold := p.got()
			raw := oneContinue(p.exchange(p.url, p.asSignedIn(request)))
			got, gotEarly := lastAnswer(t, raw, method)
			told := p.got()
			if strings.HasPrefix(request, "GET") || strings.HasPrefix(request, "POST") {
				wantTold = strings.Replace(wantTold, `Accept-Encoding: ["gzip, br"]`, `Accept-Encoding: ["gzip"]`, 1)
			}
			if diff := cmp.Diff(wantTold, told); diff != "" {
				t.Errorf("the upstream got something else: %s", diff)
			}
			promise(&want, &got, method)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("another answer: %s\n%.2000s", diff, raw)
			}
			if diff := cmp.Diff(wantEarly, gotEarly); diff != "" {
				t.Errorf("other answers before it: %s", diff)
			}
		})
	}
}

// promise has a plain answer be what the documents promise of the one with
// the script in it.
func promise(want, got *parted, method string) {
	if want.Header["Cache-Control"] == nil {
		want.Header.Set("Cache-Control", "private, no-cache")
	}
	html := strings.HasPrefix(want.Header.Get("Content-Type"), "text/html")
	weak := func() {
		if tag := want.Header.Get("Etag"); tag != "" {
			want.Header.Set("Etag", "W/"+tag)
		}
		if policy := want.Header.Get("Content-Security-Policy"); policy != "" {
			_, address, _ := strings.Cut(got.Header.Get("Content-Security-Policy"), "script-src-elem 'self' ")
			want.Header.Set("Content-Security-Policy", policy+"; script-src-elem 'self' "+address)
		}
	}
	if want.Status == http.StatusNotModified && method == http.MethodGet {
		weak()
	}
	if !html {
		return
	}
	want.Header.Add("Vary", "Sec-Fetch-Dest")
	if want.Status != http.StatusOK || method != http.MethodGet && method != http.MethodPost {
		return
	}
	if _, ranges := want.Header["Accept-Ranges"]; ranges && got.Header["Accept-Ranges"] == nil {
		want.Header.Del("Accept-Ranges")
	}
	weak()
	before, behind, headed := strings.Cut(want.Body, "<head>")
	if !headed {
		return
	}
	_, rest, _ := strings.Cut(got.Body, "<head><script src=\"/.stepgate/assets/step-up.")
	tag, _, _ := strings.Cut(rest, "</script>")
	whole := "<script src=\"/.stepgate/assets/step-up." + tag + "</script>"
	want.Body = before + "<head>" + whole + behind
	if said := want.Header.Get("Content-Length"); said != "" {
		want.Header.Set("Content-Length", fmt.Sprint(len(want.Body)))
	}
	if want.Header.Get("Content-Encoding") == "gzip" {
		delete(want.Header, "Content-Length")
		delete(got.Header, "Content-Length") // of what the server could count itself
		delete(want.Header, "Transfer-Encoding")
		delete(got.Header, "Transfer-Encoding")
	}
}
