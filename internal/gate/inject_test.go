package gate

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/inject"
	"github.com/stepgate/stepgate/internal/web"
)

// TestAPageWithTheScriptSaysHowLongItIs has the application say so, in several
// ways of answering.
func TestAPageWithTheScriptSaysHowLongItIs(t *testing.T) {
	script, err := inject.New(&web.Site{Origin: "https://portal.test"}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	const page = "<!doctype html><html><head><title>x</title></head><body>y</body></html>"
	for _, row := range []struct {
		name    string
		answer  func(w http.ResponseWriter)
		counted bool
		want    string // without the script
	}{
		{name: "at once", answer: func(w http.ResponseWriter) { io.WriteString(w, page) }, counted: true, want: page},
		{name: "by a reader", answer: func(w http.ResponseWriter) { w.(io.ReaderFrom).ReadFrom(strings.NewReader(page)) }, counted: true, want: page},
		{name: "in pieces", answer: func(w http.ResponseWriter) { io.WriteString(w, page[:30]); io.WriteString(w, page[30:]) }, counted: true, want: page},
		{name: "in the smallest pieces", answer: func(w http.ResponseWriter) {
			for i := range len(page) {
				io.WriteString(w, page[i:i+1])
			}
		}, counted: true, want: page}, // by the server, which holds a short answer back
		{name: "flushed first", answer: func(w http.ResponseWriter) {
			http.NewResponseController(w).Flush()
			io.WriteString(w, page)
		}, want: page},
		{name: "changed behind its back", answer: func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusOK)
			w.Header().Set("Set-Cookie", "__Host-stepgate=x")
			io.WriteString(w, page)
		}, counted: true, want: page},
		{name: "half a tag", answer: func(w http.ResponseWriter) { io.WriteString(w, "<html><hea") }, counted: true, want: "<html><hea"},
		{name: "nothing after all", answer: func(http.ResponseWriter) {}, counted: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				a := newAnswer(w, new(site), "*/*")
				a.Page, a.Request, a.Entry = &inject.Page{Script: script, Shown: true}, r, nil
				a.Header()["Content-Type"] = []string{"text/html"}
				a.Header()["Content-Length"] = []string{strconv.Itoa(max(5, len(row.want)))}
				a.WriteHeader(http.StatusOK)
				row.answer(a)
				a.Settle(nil)
				a.End()
			}))
			defer server.Close()
			resp, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if row.want == "" {
				if err == nil {
					t.Errorf("what is missing is not missed: %q", body)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			before, rest, added := strings.Cut(string(body), "<script src=")
			if added {
				_, behind, _ := strings.Cut(rest, "</script>")
				rest = behind
			}
			if before+rest != row.want || added != strings.Contains(row.want, "<head>") {
				t.Errorf("%q", body)
			}
			if counted := resp.ContentLength == int64(len(body)); counted != row.counted || resp.Header["Set-Cookie"] != nil {
				t.Errorf("it says that it is %d bytes long and is %d; %v", resp.ContentLength, len(body), resp.Header)
			}
		})
	}
}
