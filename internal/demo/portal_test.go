package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// browser is a client with a cookie jar that does not follow redirects.
type browser struct {
	t    *testing.T
	base string
	http *http.Client
}

func open(t *testing.T) *browser {
	t.Helper()
	srv := httptest.NewServer(New())
	t.Cleanup(srv.Close)
	return visit(t, srv.URL)
}

func visit(t *testing.T, base string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: base, http: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

func (b *browser) do(method, path, contentType string, body io.Reader, headers ...string) (int, string, http.Header) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

func (b *browser) get(path string) (int, string) {
	b.t.Helper()
	status, body, _ := b.do("GET", path, "", nil)
	return status, body
}

func (b *browser) post(path string, form url.Values) (int, string) {
	b.t.Helper()
	status, _, h := b.do("POST", path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	return status, h.Get("Location")
}

var tokenField = regexp.MustCompile(`(?:name="token" value|data-token)="([0-9a-f]+)"`)

func (b *browser) token(path string) string {
	b.t.Helper()
	_, body := b.get(path)
	m := tokenField.FindStringSubmatch(body)
	if m == nil {
		b.t.Fatalf("no token on %s", path)
	}
	return m[1]
}

func contains(t *testing.T, body string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(body, w) {
			t.Errorf("page lacks %q:\n%s", w, body)
		}
	}
}

func TestEveryPageAnswers(t *testing.T) {
	b := open(t)
	for _, path := range []string{
		"/", "/about", "/cases", "/cases/1001", "/cases/1001/documents", "/cases/1001/live", "/messages",
		"/admin/", "/payments", "/payments/new", "/reports/2026.pdf", "/debug/vars", "/echo",
		"/assets/portal.css", "/assets/seal.svg", "/assets/live.js", "/assets/messages.js",
	} {
		if status, body := b.get(path); status != http.StatusOK || body == "" {
			t.Errorf("%s: status %d, %d bytes", path, status, len(body))
		}
	}
	for _, path := range []string{"/nothing", "/cases/9", "/cases/x", "/cases/1001/documents/7", "/api/cases/9/status"} {
		if status, _ := b.get(path); status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, status)
		}
	}
}

func TestPagesSayWhoThePersonIs(t *testing.T) {
	b := open(t)
	_, body := b.get("/")
	contains(t, body, `You are a <b id="user">guest</b>`)
	_, body, _ = b.do("GET", "/", "", nil, "Remote-User", "joe", "Remote-Name", "Joe <Bloggs>", "Remote-Groups", "clerks,admins")
	contains(t, body, `<b id="user">joe</b>`, "Joe &lt;Bloggs&gt;", "clerks, admins")
}

func TestSearchFiltersAndPages(t *testing.T) {
	b := open(t)
	_, body := b.get("/cases?status=open&page=2")
	contains(t, body, "28 case(s), page 2 of 3", `href="/cases?page=1&amp;status=open"`, `href="/cases?page=3&amp;status=open"`)
	if n := strings.Count(body, "<td>closed</td>"); n != 0 {
		t.Errorf("%d closed cases among the open ones", n)
	}
	_, body = b.get("/cases?q=cv-2004-01001")
	contains(t, body, "1 case(s)", `href="/cases/1001"`)
	for _, odd := range []string{"/cases?page=-4", "/cases?page=999", "/cases?page=x", "/cases?q=zzz&page=2"} {
		if status, _ := b.get(odd); status != http.StatusOK {
			t.Errorf("%s: status %d", odd, status)
		}
	}
}

func TestNoteIsKeptWithItsAuthor(t *testing.T) {
	b := open(t)
	form := url.Values{"token": {b.token("/cases/1001")}, "text": {"called <the> clerk"}}
	status, _, h := b.do("POST", "/cases/1001/notes", "application/x-www-form-urlencoded",
		strings.NewReader(form.Encode()), "Remote-User", "joe")
	if status != http.StatusFound || h.Get("Location") != "/cases/1001" {
		t.Fatalf("status %d to %q", status, h.Get("Location"))
	}
	_, body := b.get("/cases/1001")
	contains(t, body, "<b>joe</b>", "called &lt;the&gt; clerk")
	if _, other := b.get("/cases/1002"); strings.Contains(other, "clerk</span>") {
		t.Error("the note shows on another case")
	}
}

func TestFormTokenHoldsOnlyWithItsCookie(t *testing.T) {
	b := open(t)
	token := b.token("/cases/1001")
	stranger := visit(t, b.base)
	stranger.get("/")
	bare := visit(t, b.base)
	good := url.Values{"token": {token}, "text": {"x"}, "case": {"1001"}, "payee": {"p"}, "amount": {"1"}, "user": {"joe"}}
	bad := url.Values{"token": {"00"}, "text": {"x"}, "case": {"1001"}, "payee": {"p"}, "amount": {"1"}, "user": {"joe"}}
	for _, path := range []string{"/cases/1001/notes", "/payments", "/admin/delete"} {
		for name, try := range map[string]func() (int, string){
			"another cookie": func() (int, string) { return stranger.post(path, good) },
			"no cookie":      func() (int, string) { return bare.post(path, good) },
			"wrong token":    func() (int, string) { return b.post(path, bad) },
			"no token":       func() (int, string) { return b.post(path, url.Values{"text": {"x"}}) },
		} {
			if status, _ := try(); status != http.StatusForbidden {
				t.Errorf("%s with %s: status %d, want 403", path, name, status)
			}
		}
		if status, _ := b.post(path, good); status != http.StatusFound {
			t.Errorf("%s with its own cookie: status %d, want 302", path, status)
		}
	}
}

func TestDocumentsAreBounded(t *testing.T) {
	r := newRecords()
	for range 5 {
		r.file(document{Case: 1001}, make([]byte, maxDocumentBytes/4))
	}
	kept := r.documentsOf(1001)
	if len(kept) != 4 || kept[0].Number != 2 {
		t.Errorf("%d documents kept, the first is %d; want 4 from 2 on", len(kept), kept[0].Number)
	}
	for i := range maxNotes + 3 {
		r.addNote(note{Case: 1001, Text: strings.Repeat("x", i)})
	}
	if n := len(r.notesOf(1001)); n != maxNotes {
		t.Errorf("%d notes kept, want %d", n, maxNotes)
	}
}

func TestCaseClosesOnceByCall(t *testing.T) {
	b := open(t)
	token := b.token("/cases/1001/live")
	for _, step := range []struct {
		token string
		want  int
		state string
	}{
		{"00", http.StatusForbidden, statusOpen},
		{token, http.StatusOK, statusClosed},
		{token, http.StatusConflict, statusClosed},
	} {
		status, body, _ := b.do("POST", "/api/cases/1001/close", "", nil, "X-Portal-Token", step.token, "Remote-User", "joe")
		var got caseAnswer
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if status != step.want || got.Status != step.state || got.User != "joe" {
			t.Errorf("status %d, answer %+v; want %d, %s", status, got, step.want, step.state)
		}
	}
	_, body := b.get("/api/cases/1001/status")
	contains(t, body, `"status":"closed"`)
}

func TestPaymentsAreListed(t *testing.T) {
	b := open(t)
	token := b.token("/payments/new")
	if status, _ := b.post("/payments", url.Values{"token": {token}, "case": {"1001"}, "payee": {"Kettle"}, "amount": {"120.50"}}); status != http.StatusFound {
		t.Fatalf("status %d", status)
	}
	for _, amount := range []string{"", "0", "0.00", "-1", "1.5", "1,00", "99999999", "1e3"} {
		if status, _ := b.post("/payments", url.Values{"token": {token}, "case": {"1001"}, "payee": {"K"}, "amount": {amount}}); status != http.StatusBadRequest {
			t.Errorf("amount %q: status %d, want 400", amount, status)
		}
	}
	_, body := b.get("/payments")
	contains(t, body, "Kettle", "120.50", "PAY-00001")
	if strings.Contains(body, "PAY-00002") {
		t.Error("a refused payment was made")
	}
}

func TestDeletedUserIsGone(t *testing.T) {
	b := open(t)
	token := b.token("/admin/")
	if status, to := b.post("/admin/delete", url.Values{"token": {token}, "user": {"temp04"}}); status != http.StatusFound || to != "/admin/" {
		t.Fatalf("status %d to %q", status, to)
	}
	if _, body := b.get("/admin/"); strings.Contains(body, "temp04") {
		t.Error("still listed")
	}
	if status, _ := b.post("/admin/delete", url.Values{"token": {token}, "user": {"temp04"}}); status != http.StatusNotFound {
		t.Errorf("second time: status %d, want 404", status)
	}
}

func TestEchoShowsTheRequestAsItArrived(t *testing.T) {
	b := open(t)
	_, body, _ := b.do("PUT", "/echo//a/../b%2fc;x=1?q=%20", "text/x", strings.NewReader("hello"), "Remote_User", "evil")
	contains(t, body, "method: PUT\n", "target: /echo//a/../b%2fc;x=1?q=%20\n", "header Remote_user: evil\n",
		"body: 5 bytes, sha256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
}

func TestReportIsAPDFWithARightTable(t *testing.T) {
	pdf := reportPDF()
	if !bytes.HasPrefix(pdf, []byte("%PDF-1.4\n")) || !bytes.HasSuffix(pdf, []byte("%%EOF\n")) {
		t.Fatal("not framed as a PDF")
	}
	for i, m := range regexp.MustCompile(`(?m)^(\d{10}) 00000 n $`).FindAllSubmatch(pdf, -1) {
		var at int
		for _, digit := range m[1] {
			at = at*10 + int(digit-'0')
		}
		if want := []byte{byte('1' + i), ' ', '0', ' ', 'o', 'b', 'j'}; !bytes.HasPrefix(pdf[at:], want) {
			t.Errorf("entry %d points at %q", i+1, pdf[at:at+8])
		}
	}
	b := open(t)
	status, part, _ := b.do("GET", "/reports/2026.pdf", "", nil, "Range", "bytes=0-3")
	if status != http.StatusPartialContent || part != "%PDF" {
		t.Errorf("range: status %d, %q", status, part)
	}
}

func TestEventsFlowUntilServeEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l) }()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+l.Addr().String()+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	first := make([]byte, 20)
	if _, err := io.ReadFull(res.Body, first); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("id: 0\nevent: notice\n", string(first)); diff != "" {
		t.Error(diff)
	}
	stop()
	if _, err := io.Copy(io.Discard, res.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("stream ended with %v", err)
	}
	select {
	case err := <-served:
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Serve did not end")
	}
}

func TestEventsComeOneAfterAnother(t *testing.T) {
	p := newPortal()
	p.notice = time.Millisecond
	srv := httptest.NewServer(p.handler())
	defer srv.Close()
	res, err := http.Get(srv.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var seen strings.Builder
	buf := make([]byte, 256)
	for !strings.Contains(seen.String(), "id: 2\n") {
		n, err := res.Body.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(buf[:n])
	}
}
