package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// sampleView shows every part of the kit.
type sampleView struct {
	View
	Countdown struct {
		Seconds int
		For     string
	}
	QR *struct {
		Src template.URL
		Alt string
	}
	Secret    string
	Codes     []string
	Rows      []sampleRow
	Reference string
}

type sampleRow struct {
	Name    string
	At      time.Time
	Default bool
}

var noon = time.Date(2026, time.November, 5, 12, 0, 0, 0, time.UTC)

func testSite() *Site {
	return &Site{
		Name: "Casework Portal", Help: "Call 0300 000 0000", Origin: "https://portal.example.gov",
		SecureCookies: true, Languages: []string{"en", "cy"},
	}
}

// testMAC keeps parts apart as Guard asks.
func testMAC(purpose string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, []byte("test key"))
	for _, p := range append([][]byte{[]byte(purpose)}, parts...) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	return h.Sum(nil)
}

func sampleFS(t testing.TB) fs.FS {
	t.Helper()
	return os.DirFS("testdata/sample")
}

func testKit(t testing.TB, options Options) *Kit {
	t.Helper()
	k, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func samplePages(t testing.TB) *Pages {
	t.Helper()
	p, err := testKit(t, Options{}).Parse("sample", sampleFS(t), "everything")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// navigation is a request as a browser makes it for a window of its own.
func navigation(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func bodyOf(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// render gives the sample page with view.
func render(t testing.TB, r *http.Request, view any) (*httptest.ResponseRecorder, string) {
	t.Helper()
	w := httptest.NewRecorder()
	if err := samplePages(t).Render(w, r, testSite(), http.StatusOK, "everything", view); err != nil {
		t.Fatal(err)
	}
	return w, bodyOf(t, w)
}
