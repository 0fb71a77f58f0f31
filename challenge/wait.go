package challenge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// This file is for pages whose answer comes from elsewhere (factors.Waiting):
// how their script learns that it has come. It is told a word, and nothing that
// helps anybody else on this origin to make a proof.

// waits is the ceremony of pages that wait.
type waits struct{ *Site }

// waitPath ends the address of what the script of a waiting page asks.
const waitPath = "/wait"

// How often a waiting page's answer is looked for, how long one stream of it
// stays open, and how many of a session's do.
const (
	waitEvery  = 300 * time.Millisecond
	waitFor    = 25 * time.Second
	maxStreams = 4
)

// WaitsAt tells whether a path below the prefix is what the script of a waiting
// page asks. It is no page: fetch and EventSource may ask it.
func (s *Site) WaitsAt(rest string) bool { return waits{s}.waitedFor(rest) != "" }

// waitedFor is the page that a path is the script's of, or "".
func (s waits) waitedFor(rest string) string {
	page, ok := strings.CutSuffix(rest, waitPath)
	if !ok {
		return ""
	}
	for _, f := range s.Factors.All() {
		_, waits := f.(factors.Waiting)
		if waits && (page == "/challenge/"+string(f.Kind()) || page == "/enrol/"+string(f.Kind())) {
			return page
		}
	}
	return ""
}

// Waits answers the scripts of waiting pages: as server-sent events (HTML §9.2)
// to who asks for them, and at once, as JSON, to others. It keeps no session
// from idling out: a script is not a person (SP 800-63B-4 §5.2).
func (s *Site) Waits() http.Handler { return waits{s}.handler() }

func (s waits) handler() http.Handler {
	return s.Pages.Handle(s.Web, func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodGet {
			return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET"}
		}
		page := s.waitedFor(strings.TrimPrefix(r.URL.Path, s.Web.Path("")))
		v, err := s.Sessions.Peek(r.Context(), r.Header, s.Place)
		if err != nil {
			return s.unavailable(err)
		}
		if v == nil || page == "" {
			return &web.Fail{Status: http.StatusNotFound}
		}
		look := func() (factors.Progress, error) { return s.progress(r, v, page) }
		if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			return s.tellProgress(w, look)
		}
		if !s.waiting.begin(v.Session.ID) {
			return &web.Fail{Status: http.StatusTooManyRequests, RetryAfter: waitFor}
		}
		defer s.waiting.end(v.Session.ID)
		return s.streamProgress(w, r, look)
	})
}

// progress looks how far the answer is. Of a step that is over, in whatever
// way, it is Over: the page itself knows what is next.
func (s waits) progress(r *http.Request, v *session.Entry, page string) (factors.Progress, error) {
	now := s.Now().UTC()
	t, err := s.Store.FindTransaction(r.Context(), v.Session.ID, s.continuation(r).ID+page, now)
	if errors.Is(err, ceremony.ErrTransactionGone) {
		return factors.ProgressOver, nil
	}
	if err != nil {
		return "", err
	}
	waiting, ok := s.Factors.Find(policy.Factor(page[strings.LastIndex(page, "/")+1:])).(factors.Waiting)
	if !ok {
		return factors.ProgressOver, nil
	}
	return waiting.Progress(r.Context(), t.State, now)
}

func (s waits) tellProgress(w http.ResponseWriter, look func() (factors.Progress, error)) error {
	progress, err := look()
	if err != nil {
		return s.unavailable(err)
	}
	body, err := json.Marshal(map[string]factors.Progress{"progress": progress})
	if err != nil {
		return err
	}
	web.Harden(w.Header(), s.Web)
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n'))
	return nil
}

// streamProgress sends one event, once there is something to tell.
func (s waits) streamProgress(w http.ResponseWriter, r *http.Request, look func() (factors.Progress, error)) error {
	web.Harden(w.Header(), s.Web)
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	fmt.Fprint(w, "retry: 1000\n\n")
	if err := out.Flush(); err != nil {
		return nil // the browser has gone
	}
	ticker, end := time.NewTicker(waitEvery), time.After(waitFor)
	defer ticker.Stop()
	for {
		progress, err := look()
		if err == nil && progress != factors.ProgressWaiting {
			fmt.Fprintf(w, "data: %s\n\n", progress)
			out.Flush()
			return nil
		}
		select {
		case <-ticker.C: // a store that does not answer may do so soon
		case <-end:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// waitings counts the streams that wait, by session.
type waitings struct {
	mu  sync.Mutex
	all map[session.ID]int
}

func (a *waitings) begin(id session.ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[id] >= maxStreams {
		return false
	}
	if a.all == nil {
		a.all = map[session.ID]int{}
	}
	a.all[id]++
	return true
}

func (a *waitings) end(id session.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[id]--; a.all[id] <= 0 {
		delete(a.all, id)
	}
}
