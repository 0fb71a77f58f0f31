package kept_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// bench is a keeper over a real store.
type bench struct {
	*kept.Keeper
	*testing.T
	now time.Time
}

var joe = kept.Owner{Account: "joe", Browser: kept.BrowserOf("visit 1"), Site: "https://portal.example.gov"}

func newBench(t *testing.T, limit int64) *bench {
	t.Helper()
	ring := storetest.NewRing(t)
	db, err := sqldb.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "stepgate.db"), sqldb.Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	err = db.Update(t.Context(), func(tx store.Tx) error {
		return tx.InsertAccount(t.Context(), account.Account{ID: "joe", Source: account.LocalSource, Subject: "joe", Username: "joe", Role: account.RoleUser, CreatedAt: storetest.Noon})
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, now: storetest.Noon}
	b.Keeper = &kept.Keeper{Store: db, Max: limit, Now: func() time.Time { return b.now }}
	return b
}

func event() audit.Event { return audit.Event{Name: audit.RequestKept} }

func post(contentType string, body io.Reader) *http.Request {
	r := httptest.NewRequest("POST", "/pay?x=1", body)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Cookie", "PHPSESSID=secret")
	r.Header.Set("Authorization", "Basic secret")
	r.Header.Set("Referer", joe.Site+"/pay/new")
	r.Header.Set("Origin", joe.Site)
	return r
}

func (b *bench) keep(r *http.Request) kept.Request {
	b.Helper()
	q, err := b.Keep(r, joe, r.RequestURI, event())
	if err != nil {
		b.Fatal(err)
	}
	return q
}

// replayed is the body of a request as it goes on.
func (b *bench) replayed(q kept.Request) (*http.Request, []byte) {
	b.Helper()
	found, err := b.Find(b.Context(), q.ID, joe)
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("POST", q.Target, strings.NewReader(kept.Field+"="+string(q.ID)))
	r.Header.Set("Referer", "https://portal.example.gov/.stepgate/challenge?c=1")
	r.Header.Set("Cookie", "PHPSESSID=newer")
	r.Header.Set("Accept-Language", "cy") // which the form did not bring
	b.Restore(r, found)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.Fatal(err)
	}
	return r, body
}

func TestBodiesOfEveryLengthComeBackByteForByte(t *testing.T) {
	const limit = 3 * kept.ChunkBytes
	b := newBench(t, limit)
	all := bytes.Repeat([]byte("\x00\xff%41=&\r\n-"), limit)[:limit]
	for _, length := range []int{0, 1, kept.ChunkBytes - 1, kept.ChunkBytes, kept.ChunkBytes + 1, limit - 1, limit} {
		for name, r := range map[string]*http.Request{
			"of known length": post("application/octet-stream", bytes.NewReader(all[:length])),
			"in small pieces": post("text/plain", iotest.HalfReader(bytes.NewReader(all[:length]))),
			"an odd form":     post("application/x-www-form-urlencoded", bytes.NewReader(all[:length])),
			"an odd upload":   post("multipart/form-data; boundary=-", bytes.NewReader(all[:length])),
		} {
			q := b.keep(r)
			back, body := b.replayed(q)
			if !bytes.Equal(body, all[:length]) || back.ContentLength != int64(length) || q.Size != int64(length) {
				t.Errorf("%d bytes %s came back as %d, length %d", length, name, len(body), back.ContentLength)
			}
		}
	}
	if _, err := b.Keep(post("text/plain", bytes.NewReader(append(all, 'x'))), joe, "/", event()); !errors.Is(err, kept.ErrTooLarge) {
		t.Errorf("one byte too many: %v", err)
	}
	if _, err := b.Keep(post("text/plain", iotest.HalfReader(bytes.NewReader(append(all, 'x')))), joe, "/", event()); !errors.Is(err, kept.ErrTooLarge) {
		t.Errorf("one byte too many of unknown length: %v", err)
	}
}

func TestHeadersOfTheFormAndCookiesOfTheReplay(t *testing.T) {
	b := newBench(t, 1<<10)
	r := post("text/plain; charset=x", strings.NewReader("hello"))
	r.Header.Set("X-Secret", "1")
	q := b.keep(r)
	back, _ := b.replayed(q)
	want := http.Header{
		"Content-Type": {"text/plain; charset=x"}, "Content-Length": {"5"}, "Cookie": {"PHPSESSID=newer"},
		"Origin": {joe.Site}, "Referer": {joe.Site + "/pay/new"},
	}
	if diff := cmp.Diff(want, back.Header); diff != "" {
		t.Error(diff)
	}
}

func TestACutOffRequestIsNotKept(t *testing.T) {
	b := newBench(t, 1<<20)
	short := post("text/plain", strings.NewReader("hel"))
	short.ContentLength = 5
	torn := post("text/plain", io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	for name, r := range map[string]*http.Request{"shorter than it says": short, "torn": torn} {
		if q, err := b.Keep(r, joe, "/", event()); !errors.Is(err, kept.ErrCut) {
			t.Errorf("%s: %v, %v", name, q, err)
		}
	}
	limited := post("text/plain", nil)
	limited.Body, limited.ContentLength = http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader("hello")), 2), -1
	if _, err := b.Keep(limited, joe, "/", event()); !errors.Is(err, kept.ErrTooLarge) {
		t.Errorf("over another limit: %v", err)
	}
	huge := post("text/plain", strings.NewReader("hello"))
	huge.Header.Set("Referer", strings.Repeat("x", 1<<17))
	if _, err := b.Keep(huge, joe, "/", event()); !errors.Is(err, kept.ErrTooLarge) {
		t.Errorf("with a huge head: %v", err)
	}
}

func TestOnlyItsOwnBrowserAndAccountFindsARequest(t *testing.T) {
	b := newBench(t, 1<<10)
	q := b.keep(post("text/plain", strings.NewReader("hello")))
	find := func(change func(*kept.Owner)) error {
		o := joe
		change(&o)
		_, err := b.Find(t.Context(), q.ID, o)
		return err
	}
	for name, row := range map[string]struct {
		change func(*kept.Owner)
		want   error
	}{
		"its own":         {func(o *kept.Owner) {}, nil},
		"nobody yet":      {func(o *kept.Owner) { o.Account = "" }, nil},
		"another browser": {func(o *kept.Owner) { o.Browser = kept.BrowserOf("visit 2") }, kept.ErrGone},
		"another site":    {func(o *kept.Owner) { o.Site = "https://other.example.gov" }, kept.ErrGone},
		"both others":     {func(o *kept.Owner) { o.Account, o.Browser = "ann", kept.BrowserOf("visit 2") }, kept.ErrGone},
	} {
		if err := find(row.change); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
	if err := find(func(o *kept.Owner) { o.Account = "ann" }); !errors.Is(err, kept.ErrOther) {
		t.Errorf("another account: %v", err)
	}
	if err := find(func(*kept.Owner) {}); !errors.Is(err, kept.ErrGone) {
		t.Errorf("after another account was there: %v", err)
	}
}

func TestARequestIsOverAfterAnHourOrOneReplay(t *testing.T) {
	b := newBench(t, 1<<10)
	q, old := b.keep(post("text/plain", strings.NewReader("hello"))), b.keep(post("text/plain", strings.NewReader("hello")))
	if err := b.Redeem(t.Context(), q, event()); err != nil {
		t.Fatal(err)
	}
	if err := b.Redeem(t.Context(), q, event()); !errors.Is(err, kept.ErrContinued) {
		t.Errorf("redeemed twice: %v", err)
	}
	if _, err := b.Find(t.Context(), q.ID, joe); !errors.Is(err, kept.ErrContinued) {
		t.Errorf("found after it was redeemed: %v", err)
	}
	b.now = b.now.Add(kept.TTL)
	if _, err := b.Find(t.Context(), old.ID, joe); !errors.Is(err, kept.ErrGone) {
		t.Errorf("found after an hour: %v", err)
	}
}

func TestABodyThatIsDeletedMeanwhileIsNoShorterBody(t *testing.T) {
	b := newBench(t, 1<<20)
	q := b.keep(post("text/plain", bytes.NewReader(make([]byte, 2*kept.ChunkBytes))))
	r := httptest.NewRequest("POST", "/", nil)
	b.Restore(r, q)
	if _, err := io.ReadFull(r.Body, make([]byte, kept.ChunkBytes)); err != nil {
		t.Fatal(err)
	}
	if err := b.Store.DropKept(t.Context(), q.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r.Body); !errors.Is(err, kept.ErrGone) {
		t.Errorf("the rest reads with %v", err)
	}
}

func TestNamesOfFieldsAndFilesAreShownAndValuesAreNot(t *testing.T) {
	b := newBench(t, 1<<20)
	var upload bytes.Buffer
	form := multipart.NewWriter(&upload)
	form.WriteField("case", "secret")
	for _, name := range []string{"%22report%22%0D%0A.pdf", `C:\temp\Zürich.doc`, "../../x\u202egpj.exe", "%22report%22%0D%0A.pdf"} {
		w, err := form.CreateFormFile("file", name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, 100_000))
	}
	form.WriteField("after", "secret")
	form.Close()
	for name, row := range map[string]struct {
		r    *http.Request
		want kept.Content
	}{
		"form":      {post("application/x-www-form-urlencoded", strings.NewReader("amount=secret&to%20whom=secret&empty=&amount=secret")), kept.Content{Fields: []string{"amount", "to whom"}}},
		"upload":    {post(form.FormDataContentType(), &upload), kept.Content{Fields: []string{"case", "after"}, Files: []string{`"report"  .pdf`, "Zürich.doc", "xgpj.exe"}}},
		"data":      {post("application/json", strings.NewReader(`{"amount":"secret"}`)), kept.Content{}},
		"many":      {post("application/x-www-form-urlencoded", strings.NewReader(strings.Repeat("a=1&", 1000)+"b=1")), kept.Content{Fields: []string{"a", "b"}}},
		"malformed": {post("multipart/form-data; boundary=x", strings.NewReader("--x\r\nnothing")), kept.Content{}},
	} {
		if diff := cmp.Diff(row.want, b.keep(row.r).Content); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestNamedTakesTheButtonsFormAndNothingElse(t *testing.T) {
	id := string(kept.NewID())
	button := kept.Field + "=" + id
	for name, row := range map[string]struct {
		body   string
		change func(*http.Request)
		want   bool
	}{
		"button":            {button, func(*http.Request) {}, true},
		"unknown length":    {button, func(r *http.Request) { r.ContentLength = -1 }, true},
		"more behind":       {button + "&a=1", func(r *http.Request) { r.ContentLength = -1 }, false},
		"cut":               {button[:10], func(*http.Request) {}, false},
		"another field":     {"x" + button[1:], func(*http.Request) {}, false},
		"no ID":             {kept.Field + "=" + strings.ToLower(id), func(*http.Request) {}, false},
		"another type":      {button, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, false},
		"not a POST":        {button, func(r *http.Request) { r.Method = "PUT" }, false},
		"a stream of bytes": {strings.Repeat("a=1&", 1<<16), func(r *http.Request) { r.ContentLength = -1 }, false},
	} {
		r := post("application/x-www-form-urlencoded", strings.NewReader(row.body))
		row.change(r)
		got, ok := kept.Named(r)
		if ok != row.want || ok && string(got) != id {
			t.Errorf("%s: %q %v", name, got, ok)
		}
		if rest, err := io.ReadAll(r.Body); !ok && (err != nil || string(rest) != row.body) {
			t.Errorf("%s: %d bytes are left of %d, %v", name, len(rest), len(row.body), err)
		}
	}
	broken := post("application/x-www-form-urlencoded", io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(context.Canceled)))
	if _, ok := kept.Named(broken); ok {
		t.Error("a broken body names a request")
	}
	if rest, err := io.ReadAll(broken.Body); string(rest) != "abc" || !errors.Is(err, context.Canceled) {
		t.Errorf("what is left of a broken body: %q, %v", rest, err)
	}
}

func FuzzNamedAndContent(f *testing.F) {
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nc\r\n--x--\r\n"))
	f.Add("application/x-www-form-urlencoded", []byte("a=1&b=%2"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		seen := kept.Look(contentType, body)
		for _, name := range append(seen.Fields, seen.Files...) {
			if name == "" || len([]rune(name)) > 81 || strings.ContainsAny(name, "\r\n\x00") {
				t.Errorf("a page would show %q", name)
			}
		}
		r := post("application/x-www-form-urlencoded", bytes.NewReader(body))
		if _, ok := kept.Named(r); !ok {
			if rest, _ := io.ReadAll(r.Body); !bytes.Equal(rest, body) {
				t.Errorf("%d bytes are left of %d", len(rest), len(body))
			}
		}
	})
}
