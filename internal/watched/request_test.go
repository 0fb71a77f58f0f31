package watched

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/weld"
)

// A session's memory has a Cookie line for as long as it lives, and there are many
// sessions: who sends long ones is not to fill it.
func TestALongCookieLinePassesAndIsNotKept(t *testing.T) {
	memo := new(Memo)
	pass := func(line string) {
		t.Helper()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", line)
		q := Request{HTTP: r, Visitor: Visitor{Entry: new(session.Entry), Memo: memo}, site: &Site{Weld: new(weld.Weld)}}
		q.passCookies()
		if got := r.Header.Get("Cookie"); got != line {
			t.Errorf("of %d bytes %d passed", len(line), len(got))
		}
	}
	short := "theme=dark"
	pass(short)
	if kept := memo.welded.Load(); kept == nil || kept.line != short {
		t.Fatal("the line of the session's last request is not kept")
	}
	pass("theme=" + strings.Repeat("a", longestKept))
	if kept := memo.welded.Load(); kept.line != short {
		t.Errorf("a line of %d bytes is kept", len(kept.line))
	}
}
