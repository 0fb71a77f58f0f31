package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/internal/store/sqldb"
)

const keepingCaddyfile = `{
	admin unix/%[1]s/admin.sock
	persist_config off
	auto_https off
	stepgate {
		store sqlite %[1]s/stepgate.db
		key_file %[1]s/stepgate.key
	}
}
http://:%[2]s {
	bind 127.0.0.1
	stepgate {
		origin http://localhost:8080
		policy {
			level approve {
				accept totp
				once
			}
			require signed_in /
			require mfa       /app
			require approve   /approvals
		}
	}
	reverse_proxy %[3]s
}
`

// arrivals are what has been sent on to the app, each by a hash of its body.
type arrivals struct {
	mu  sync.Mutex
	all []string
}

func (a *arrivals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if r.Method == http.MethodPost {
		a.mu.Lock()
		a.all = append(a.all, fmt.Sprintf("%s %s %d %x %v", r.Header.Get("Remote-User"), r.URL, n, sum.Sum(nil), err))
		a.mu.Unlock()
	}
	fmt.Fprint(w, "received")
}

// want fails unless some bodies, each once and in their order, have arrived.
func (a *arrivals) want(t *testing.T, bodies ...string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if strings.Join(a.all, "\n") != strings.Join(bodies, "\n") {
		t.Fatalf("what was sent on:\n%s\nwant:\n%s", strings.Join(a.all, "\n"), strings.Join(bodies, "\n"))
	}
}

// TestUploadsSurviveKill kills a gateway while it receives a form of 10 MiB and
// keeps two others whose challenges are not met: the two are sent on whole, once,
// after it has been started again; of the third nothing is, and nothing stays.
func TestUploadsSurviveKill(t *testing.T) {
	app := new(arrivals)
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: app}
	go server.Serve(upstream)
	t.Cleanup(func() { server.Close() })
	n := &nodes{T: t, upstream: upstream.Addr().String()}
	one := &node{addr: legacytest.FreeAddr(t), dir: t.TempDir()}
	_, port, _ := net.SplitHostPort(one.addr)
	n.write(filepath.Join(one.dir, "Caddyfile"), fmt.Sprintf(keepingCaddyfile, one.dir, port, n.upstream))
	n.command(one, "", "organisation", "add", "courts") // which makes store and key
	n.all = append(n.all, one)
	n.start(one)
	joe, ann := n.person("joe").at(one), n.person("ann").at(one)
	joe.enrol("/app")
	ann.enrol("/app")

	whole, kind := tenMiB(t)
	large := joe.post(kind, bytes.NewReader(whole), int64(len(whole)))
	small := ann.post("application/x-www-form-urlencoded", strings.NewReader("amount=12"), 9)
	for _, page := range []answer{large, small} {
		if page.url == nil || page.url.Path != "/.stepgate/challenge/totp" {
			t.Fatalf("no challenge for a kept request, but %+v", page)
		}
	}
	before := bodiesIn(t, one)
	if len(before) != 1 { // the small one has no file
		t.Fatalf("files of kept requests: %v", before)
	}
	half := n.killAmid(ann, one, before)
	app.want(t)

	n.start(one)
	if a := ann.do(ann.form("application/x-www-form-urlencoded", strings.NewReader(kept.Field+"="+half), int64(len(kept.Field+"="+half)))); a.status == http.StatusOK || !strings.Contains(a.body, "Nothing was sent") {
		t.Errorf("half a request is answered with %d:\n%s", a.status, a.body)
	}
	app.want(t)
	sent := []string{}
	for _, c := range []struct {
		p    *person
		page answer
		body []byte
	}{{joe, large, whole}, {ann, small, []byte("amount=12")}} {
		offered := c.p.submit(c.page, "code", map[string]string{"code": c.p.code(), "action": "verify"})
		app.want(t, sent...) // not before the person says so
		c.p.submit(offered, kept.Field, nil)
		sent = append(sent, fmt.Sprintf("%s /approvals %d %x <nil>", c.p.name, len(c.body), sha256.Sum256(c.body)))
		app.want(t, sent...)
		c.p.submit(offered, kept.Field, nil)
		app.want(t, sent...)
	}

	one.kill()
	n.sweeps(one, half)
}

// killAmid kills the gateway once some of what a person is about to send is in
// a file, of which it gives the name.
func (n *nodes) killAmid(p *person, one *node, before map[string]int64) (half string) {
	n.Helper()
	body, rest := io.Pipe()
	defer rest.Close()
	first, kind := tenMiB(n.T)
	sent := make(chan answer, 1)
	go func() { sent <- p.do(p.form(kind, body, int64(len(first)))) }()
	if _, err := rest.Write(first[:5<<20]); err != nil {
		n.Fatal(err)
	}
	n.until("half of a form is in its file", func() bool {
		for name, size := range bodiesIn(n.T, one) {
			if _, had := before[name]; !had && size >= 4<<20 {
				half = name
			}
		}
		return half != ""
	})
	one.kill()
	rest.CloseWithError(io.ErrClosedPipe)
	if a := <-sent; a.status != 0 {
		n.Errorf("half a form was answered with %d", a.status)
	}
	if size := bodiesIn(n.T, one)[half]; size < 4<<20 {
		n.Fatalf("%d bytes of half a form are left by the kill", size)
	}
	return half
}

// sweeps has the store of a gateway that has ended delete what is over, and
// finds nothing left of half a request when its time is over.
func (n *nodes) sweeps(one *node, half string) {
	n.Helper()
	ring, err := keys.Load(filepath.Join(one.dir, "stepgate.key"))
	if err != nil {
		n.Fatal(err)
	}
	db, err := sqldb.OpenSQLite(n.Context(), filepath.Join(one.dir, "stepgate.db"), sqldb.Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		n.Fatal(err)
	}
	defer db.Close()
	if err := db.Purge(n.Context(), time.Now().Add(kept.TTL)); err != nil {
		n.Fatal(err)
	}
	if left := bodiesIn(n.T, one); len(left) != 0 {
		n.Errorf("files of kept requests are left: %v", left)
	}
	// A row that is being written could be finished.
	err = db.FinishKept(n.Context(), kept.Request{ID: kept.ID(half), Size: 10 << 20}, audit.Event{Name: audit.RequestKept})
	if !errors.Is(err, kept.ErrGone) {
		n.Errorf("the row of half a request is left: %v", err)
	}
}

// bodiesIn are the files of kept requests, with their sizes.
func bodiesIn(t *testing.T, one *node) map[string]int64 {
	t.Helper()
	found, err := os.ReadDir(filepath.Join(one.dir, "stepgate.db-kept"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	sizes := map[string]int64{}
	for _, f := range found {
		if info, err := f.Info(); err == nil {
			sizes[f.Name()] = info.Size()
		}
	}
	return sizes
}

func (p *person) form(kind string, body io.Reader, length int64) *http.Request {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodPost, nodesOrigin+"/approvals", body)
	if err != nil {
		p.Fatal(err)
	}
	r.ContentLength = length
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Origin", nodesOrigin)
	return r
}

func (p *person) post(kind string, body io.Reader, length int64) answer {
	p.Helper()
	return p.do(p.form(kind, body, length))
}

// tenMiB is a form with a file of about that size.
func tenMiB(t *testing.T) (body []byte, kind string) {
	t.Helper()
	var all bytes.Buffer
	form := multipart.NewWriter(&all)
	file, err := form.CreateFormFile("document", "exhibit.bin")
	if err == nil {
		_, err = io.CopyN(file, rand.Reader, 10<<20-1000)
	}
	if err := errors.Join(err, form.Close()); err != nil {
		t.Fatal(err)
	}
	return all.Bytes(), form.FormDataContentType()
}
