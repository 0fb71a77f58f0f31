package caddymodule

import (
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// pairedSite is one application behind two gateways that differ in one option.
const pairedSite = `{{site}} {
	stepgate {
		inject_step_up
		policy {
			public /public/*
		}
	}
	reverse_proxy {{upstream}}
}

PLAIN {
	stepgate {
		policy {
			public /public/*
		}
	}
	reverse_proxy {{upstream}}
}
`

// BenchmarkPage tells what the script costs: the same page through a gateway
// with the script and one without it, turn and turn about, and the ratio of
// what they take. Answers that are no pages go the same way.
func BenchmarkPage(b *testing.B) {
	plain := "http://" + freeAddress(b)
	g := startGateway(b, strings.Replace(pairedSite, "PLAIN", plain, 1), nil)
	for _, row := range []struct {
		kind    string
		size    int
		counted bool // the application says how long its page is
		packed  bool
	}{
		{"text/html", 10 << 10, true, false}, {"text/html", 10 << 10, false, false}, {"text/html", 1 << 20, true, false},
		{"text/html", 10 << 10, false, true}, {"text/html", 1 << 20, false, true}, {"application/json", 10 << 10, true, false},
	} {
		body := strings.Replace(framePage, "y</body>", strings.Repeat("<p>One more line.\n", row.size/18)+"</body>", 1)
		g.upstream.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", row.kind)
			switch {
			case row.packed: // at each request, as applications do
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				defer z.Close()
				io.WriteString(z, body)
				return
			case row.counted:
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			}
			io.WriteString(w, body)
		})
		b.Run(fmt.Sprintf("%s/%d/counted=%t/packed=%t", row.kind, row.size, row.counted, row.packed), func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: time.Minute}
			var took turns
			for b.Loop() {
				took.measure(func(which int) { getPage(b, client, []string{plain, g.url}[which]+"/public/page") })
			}
			took.report(b, 1)
		})
	}
}

// getPage asks for a page as a window does.
func getPage(tb testing.TB, client *http.Client, target string) {
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Accept-Encoding", "gzip")
	answer, err := client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		tb.Fatal(answer.Status, err)
	}
}

// TestTheScriptCostsNothingWhereItIsNot counts what the gate allocates for an
// answer that is no page, and for one that no window shows, with the script
// and without it.
func TestTheScriptCostsNothingWhereItIsNot(t *testing.T) {
	plain := "http://" + freeAddress(t)
	g := startGateway(t, strings.Replace(pairedSite, "PLAIN", plain, 1), nil)
	for _, row := range []struct{ name, kind, mode string }{
		{"data that a script asks for", "application/json", "cors"}, {"an image", "image/png", "no-cors"},
	} {
		answer := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header()["Content-Type"] = []string{row.kind}
			w.WriteHeader(http.StatusOK)
			_, err := io.WriteString(w, "answer")
			return err
		})
		var allocs [2]float64
		for i, site := range []string{plain, g.url} {
			r := httptest.NewRequest(http.MethodGet, "/public/x", nil)
			r.Host = strings.TrimPrefix(site, "http://")
			header := http.Header{"Sec-Fetch-Mode": {row.mode}, "Accept-Encoding": {"gzip, br"}}
			served, h := serverRequest(r), siteAt(t, site)
			allocs[i] = testing.AllocsPerRun(500, func() {
				again := *served
				again.Header = maps.Clone(header)
				if err := h.ServeHTTP(&headerWriter{header: http.Header{}}, &again, answer); err != nil {
					t.Fatal(err)
				}
			})
		}
		if allocs[0] != allocs[1] {
			t.Errorf("%s: %v allocations without the script, %v with it", row.name, allocs[0], allocs[1])
		}
	}
}

// siteAt is the handler of one of several sites.
func siteAt(t testing.TB, origin string) *Handler {
	t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("stepgate")
	if err != nil {
		t.Fatal(err)
	}
	sites := app.(*App).sites
	i := slices.IndexFunc(sites, func(h *Handler) bool { return h.Origin == origin })
	if i < 0 {
		t.Fatalf("no site %s", origin)
	}
	return sites[i]
}

// BenchmarkNoPage is what the gate itself takes for an answer that is no page,
// turn and turn about without the script and with it.
func BenchmarkNoPage(b *testing.B) {
	plain := "http://" + freeAddress(b)
	g := startGateway(b, strings.Replace(pairedSite, "PLAIN", plain, 1), nil)
	answer := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Content-Type"] = []string{"application/json"}
		w.WriteHeader(http.StatusOK)
		_, err := io.WriteString(w, "answer")
		return err
	})
	const many = 100
	header := http.Header{"Sec-Fetch-Mode": {"cors"}, "Accept-Encoding": {"gzip, br"}}
	var sites [2]*Handler
	var requests [2]*http.Request
	for i, site := range []string{plain, g.url} {
		r := httptest.NewRequest(http.MethodGet, "/public/x", nil)
		r.Host = strings.TrimPrefix(site, "http://")
		sites[i], requests[i] = siteAt(b, site), serverRequest(r)
	}
	var took turns
	for b.Loop() {
		took.measure(func(which int) {
			for range many {
				again := *requests[which]
				again.Header = maps.Clone(header)
				if err := sites[which].ServeHTTP(&headerWriter{header: http.Header{}}, &again, answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	took.report(b, many)
}

// turns is how long two things take that are done turn and turn about.
type turns [2][]time.Duration

func (p *turns) measure(do func(which int)) {
	first := len(p[0]) % 2
	for i := range 2 {
		which := (first + i) % 2
		began := time.Now()
		do(which)
		p[which] = append(p[which], time.Since(began))
	}
}

// report tells the ratio of what the two take in the fastest tenth of their
// turns, which whatever else runs does not touch, and in the middle one; and
// the first of them for one of many that are measured at once.
func (p *turns) report(b *testing.B, many int) {
	for i := range p {
		slices.Sort(p[i])
	}
	at := func(which, of int) float64 { return float64(p[which][len(p[which])/of].Nanoseconds()) }
	b.ReportMetric(at(1, 10)/at(0, 10), "×")
	b.ReportMetric(at(1, 2)/at(0, 2), "×-median")
	b.ReportMetric(at(0, 2)/float64(many), "ns-without")
}
