package gate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// site is a Site whose sessions all end at once.
type site struct {
	ended atomic.Bool
	looks atomic.Int64
	// slow is how long a look takes.
	slow time.Duration
}

func (s *site) StillMeets(ctx context.Context, _ *session.Entry, _ policy.LevelSet) bool {
	s.looks.Add(1)
	time.Sleep(s.slow)
	return ctx.Err() != nil || !s.ended.Load()
}

func (s *site) Fail(w http.ResponseWriter, _ *http.Request, err error) {
	http.Error(w, err.Error(), http.StatusBadGateway)
}

func newAnswer(w http.ResponseWriter, s *site, accept string) *Answer {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", accept)
	return &Answer{ResponseWriter: w, Site: s, Request: r, Entry: new(session.Entry), Private: true}
}

func TestTheStepsOfAnAnswersHeader(t *testing.T) {
	var names []string
	for _, step := range headerSteps {
		names = append(names, step.name)
	}
	if want := []string{"protocol", "words", "cookies", "cache", "script", "stream", "question", "person", "welded", "going", "leave", "ours"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v: docs and tests go by that order", names, want)
	}
	upstream := http.Header{
		"Upgrade": {"h2c"}, "Connection": {"Upgrade, X-Drop"}, "Service-Worker-Allowed": {"/"}, "Www-Authenticate": {`Basic realm="x", Stepgate error="y"`, "Digest"},
		"Set-Cookie": {"__Host-stepgate=x", "app=y"}, "Link": {"</a.css>"},
	}
	for _, row := range []struct {
		status int
		want   http.Header
	}{
		{103, http.Header{"Www-Authenticate": {"Digest"}, "Set-Cookie": {"app=y"}, "Link": {"</a.css>"}}},
		{200, http.Header{"Www-Authenticate": {"Digest"}, "Set-Cookie": {"app=y"}, "Link": {"</a.css>"}, "Cache-Control": {"private, no-cache"}}},
	} {
		w := httptest.NewRecorder()
		a := newAnswer(w, new(site), "*/*")
		for name, values := range upstream {
			w.Header()[name] = values
		}
		a.WriteHeader(row.status)
		if diff := cmp.Diff(row.want, w.Header()); diff != "" {
			t.Errorf("%d: (-want +got)\n%s", row.status, diff)
		}
		if a.Sent() != (row.status == 200) {
			t.Errorf("%d: sent %t", row.status, a.Sent())
		}
	}
}

func TestNothingButAnAcceptedWebSocketIsHijacked(t *testing.T) {
	w := httptest.NewRecorder()
	a := newAnswer(w, new(site), "*/*")
	if _, _, err := a.Hijack(); !errors.Is(err, errNotHijacked) {
		t.Error(err)
	}
	a.WriteHeader(http.StatusSwitchingProtocols)
	if _, _, err := a.Hijack(); !errors.Is(err, errNotHijacked) || w.Code != http.StatusBadGateway {
		t.Error(w.Code, err)
	}
	if _, err := a.Write([]byte("frames")); err == nil || strings.Contains(w.Body.String(), "frames") {
		t.Error("the refused upstream goes on to write")
	}
}

func TestAStreamThatWasAskedForEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		a := newAnswer(httptest.NewRecorder(), s, "text/event-stream")
		r := a.Begin()
		time.Sleep(10 * superviseEvery)
		if r.Context().Err() != nil || s.looks.Load() < 9 {
			t.Fatalf("%v after %d looks", r.Context().Err(), s.looks.Load())
		}
		s.ended.Store(true)
		time.Sleep(2 * superviseEvery)
		if r.Context().Err() == nil {
			t.Error("the request goes on")
		}
		a.End()
	})
}

func TestAStreamThatShowsInItsAnswerEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		w := httptest.NewRecorder()
		a := newAnswer(w, s, "*/*")
		if r := a.Begin(); r != a.Request {
			t.Error("an ordinary request is copied")
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		io.WriteString(a, "data: 1\n\n")
		time.Sleep(3 * superviseEvery)
		s.ended.Store(true)
		time.Sleep(2 * superviseEvery)
		if _, err := io.WriteString(a, "data: 2\n\n"); !errors.Is(err, errEnded) || w.Body.String() != "data: 1\n\n" {
			t.Errorf("%v, %q", err, w.Body)
		}
		a.End()
	})
}

// TestNothingTouchesAnAnswerAfterItsHandler ends an answer in the middle of a
// look at its session: the watcher is waited for.
func TestNothingTouchesAnAnswerAfterItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{slow: superviseEvery / 2}
		w := &watchedWriter{ResponseRecorder: httptest.NewRecorder()}
		a := newAnswer(w, s, "*/*")
		w.Header().Set("Content-Type", "text/event-stream")
		a.WriteHeader(http.StatusOK)
		s.ended.Store(true)
		time.Sleep(superviseEvery + superviseEvery/4)
		began := time.Now()
		a.End()
		if time.Since(began) == 0 {
			t.Error("the watcher was not waited for")
		}
		w.gone.Store(true)
		time.Sleep(10 * superviseEvery)
		if s.looks.Load() != 1 || w.late.Load() {
			t.Errorf("%d looks, touched afterwards: %t", s.looks.Load(), w.late.Load())
		}
	})
}

// watchedWriter tells of a deadline that is set after its handler.
type watchedWriter struct {
	*httptest.ResponseRecorder
	gone, late atomic.Bool
}

func (w *watchedWriter) SetReadDeadline(time.Time) error {
	if w.gone.Load() {
		w.late.Store(true)
	}
	return nil
}

func TestAnswersOfNobodyAndOfPublicPathsAreNotWatched(t *testing.T) {
	for _, change := range []func(*Answer){func(a *Answer) { a.Private = false }, func(a *Answer) { a.Entry = nil }} {
		a := newAnswer(httptest.NewRecorder(), new(site), "text/event-stream")
		change(a)
		if a.Begin() != a.Request {
			t.Error("the request is watched")
		}
		a.Header().Set("Content-Type", "text/event-stream")
		a.WriteHeader(http.StatusOK)
		if a.stop != nil {
			t.Error("the answer is watched")
		}
		a.End()
	}
}
