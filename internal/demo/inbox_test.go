package demo

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readInbox(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	return w.Body.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestInboxWorksBeforeTheFilesExist(t *testing.T) {
	dir := t.TempDir()
	body := readInbox(t, Inbox(filepath.Join(dir, "sms"), filepath.Join(dir, "email")))
	contains(t, body, "No messages yet.", `http-equiv="refresh"`)
}

func TestInboxShowsNewestFirst(t *testing.T) {
	dir := t.TempDir()
	sms, email := filepath.Join(dir, "sms"), filepath.Join(dir, "email")
	h := Inbox(sms, email)
	write(t, sms, `{"time":"2026-01-02T10:00:00Z","channel":"sms","to":"+447700900609","subject":"","body":"first 111111"}
{"time":"2026-01-02T10:00:02Z","channel":"sms","to":"+447700900609","subject":"","body":"third <333333>"}
{"time":"2026-01-02T10:00:02Z","channel":"sms","to":"+447700900609","subject":"","body":"fourth"}
broken
{"time":"2026-01-02T10:00:09Z","channel":"sms","bo`)
	write(t, email, `{"time":"2026-01-02T10:00:01Z","channel":"email","to":"joe@example.test","subject":"Hello","body":"second, see https://portal.test/x?a=1&b=2\nbye"}`+"\n")
	body := readInbox(t, h)
	last := -1
	for _, want := range []string{"fourth", "third &lt;333333&gt;", "second, see", "first 111111"} {
		at := strings.Index(body, want)
		if at <= last {
			t.Errorf("%q stands at %d, not after %d:\n%s", want, at, last, body)
		}
		last = at
	}
	contains(t, body, `<a href="https://portal.test/x?a=1&amp;b=2">`, "Hello")
	if n := strings.Count(body, `class="message"`); n != 4 {
		t.Errorf("%d messages, want 4", n)
	}
}

func TestInboxReadsOnlyTheEndOfALongFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "both")
	line := `{"time":"2026-01-02T10:00:00Z","channel":"sms","to":"1","body":"` + strings.Repeat("x", 1000) + `"}` + "\n"
	write(t, path, strings.Repeat(line, 2000)+strings.ReplaceAll(line, "xxx", "yyy"))
	body := readInbox(t, Inbox(path, path))
	if n := strings.Count(body, `class="message"`); n != inboxMessages {
		t.Errorf("%d messages, want %d", n, inboxMessages)
	}
	if !strings.Contains(body, "yyyyyy") {
		t.Error("the newest line is missing")
	}
}

func TestInboxSaysWhenAFileCannotBeRead(t *testing.T) {
	w := httptest.NewRecorder()
	dir := t.TempDir()
	Inbox(dir, dir).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), dir) {
		t.Errorf("status %d, %q", w.Code, w.Body)
	}
}
