package caddymodule

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const uploadSite = `{{site}} {
	stepgate {
		keep_requests 32MiB
		policy {
			require signed_in /open /
			default           mfa
		}
	}
	reverse_proxy {{upstream}}
}
`

// BenchmarkUpload sends a form with a file of 10 MiB, as a browser does, in
// turn to a path that lets it pass straight through, and to one that keeps it
// until a challenge is met; beside them as many bytes are written to a file on
// the same disk and synced. Then two hundred people send one at once:
//
//	go test ./caddymodule -run - -bench Upload -benchtime 1x
func BenchmarkUpload(b *testing.B) {
	g := startGateway(b, uploadSite, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))
	form, kind := uploadForm(b, 10<<20)
	b.Run("one by one", func(b *testing.B) {
		for range min(b.N, 1) {
			uploadsInTurn(b, g, form, kind)
		}
	})
	b.Run("200 at once", func(b *testing.B) {
		for range min(b.N, 1) {
			uploadsAtOnce(b, g, form, kind, 200)
		}
	})
}

func uploadForm(b *testing.B, size int) (form []byte, kind string) {
	b.Helper()
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	parts.WriteField("case", "17")
	file, err := parts.CreateFormFile("evidence", "photograph.jpg")
	if err == nil {
		_, err = io.CopyN(file, rand.Reader, int64(size))
	}
	if err == nil {
		err = parts.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	return body.Bytes(), parts.FormDataContentType()
}

// sender signs somebody in.
func (g *rig) sender(name string) *browser {
	g.addUser(name)
	b := g.browser()
	b.signIn(b.get("/"), name)
	return b
}

// upload posts the form and gives how long the answer took.
func (b *browser) upload(target string, form []byte, kind string, want int) (time.Duration, error) {
	r, err := http.NewRequest("POST", b.base+target, bytes.NewReader(form))
	if err != nil {
		return 0, err
	}
	for _, c := range b.client.Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	for name, value := range map[string]string{
		"Content-Type": kind, "Origin": b.base, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin",
	} {
		r.Header.Set(name, value)
	}
	begun := time.Now()
	answer, err := b.client.Transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	if answer.StatusCode != want {
		err = fmt.Errorf("%s: status %d", target, answer.StatusCode)
	}
	return time.Since(begun), err
}

func uploadsInTurn(b *testing.B, g *rig, form []byte, kind string) {
	took := map[string][]time.Duration{}
	for person := range 10 {
		who := g.sender(fmt.Sprint("sender", person))
		for range 3 {
			for target, want := range map[string]int{"/open": 200, "/closed": 303} {
				span, err := who.upload(target, form, kind, want)
				if err != nil {
					b.Fatal(err)
				}
				took[target] = append(took[target], span)
			}
			span, err := writeAndSync(filepath.Join(b.TempDir(), "raw"), form)
			if err != nil {
				b.Fatal(err)
			}
			took["raw"] = append(took["raw"], span)
		}
	}
	for name, spans := range took {
		slices.Sort(spans)
		b.ReportMetric(float64(spans[len(spans)/2].Microseconds())/1000, name+"-p50-ms")
		b.ReportMetric(float64(spans[len(spans)/10].Microseconds())/1000, name+"-p10-ms")
	}
	b.ReportMetric(0, "ns/op")
}

func writeAndSync(path string, text []byte) (time.Duration, error) {
	begun := time.Now()
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	return time.Since(begun), err
}

func uploadsAtOnce(b *testing.B, g *rig, form []byte, kind string, n int) {
	senders := make([]*browser, n)
	for i := range senders {
		senders[i] = g.sender(fmt.Sprint("crowd", i))
	}
	goruntime.GC()
	var mem goruntime.MemStats
	goruntime.ReadMemStats(&mem)
	before, most, done := mem.HeapAlloc, uint64(0), make(chan struct{})
	var watch, all sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				goruntime.ReadMemStats(&mem)
				most = max(most, mem.HeapAlloc)
			}
		}
	})
	var refused atomic.Int64
	begun := time.Now()
	for _, who := range senders {
		all.Go(func() {
			if _, err := who.upload("/closed", form, kind, 303); err != nil {
				refused.Add(1)
				b.Log(err)
			}
		})
	}
	all.Wait()
	span := time.Since(begun)
	close(done)
	watch.Wait()
	b.ReportMetric(float64(most-before)/(1<<20), "heap-growth-MiB")
	b.ReportMetric(float64(n*len(form))/(1<<20)/span.Seconds(), "MiB/s")
	b.ReportMetric(float64(refused.Load()), "refused")
	b.ReportMetric(0, "ns/op")
}
