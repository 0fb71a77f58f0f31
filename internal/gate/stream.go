package gate

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// superviseEvery is how often an open stream's session is looked at: well
// within the five seconds of the contract's section 6.
const superviseEvery = time.Second

// supervision is what watches over one stream. The zero value watches none.
type supervision struct {
	stop context.CancelFunc
	gone chan struct{} // closed once the watcher has returned
}

// Begin makes a request whose answer may stay open, a WebSocket or an event
// stream, end with its session or with a level of its path. Other requests
// stay as they are; an event stream that was not asked for by name shows in
// the answer's header.
func (a *Answer) Begin() *http.Request {
	if !a.Private || a.Entry == nil || !opensStream(a.Request) {
		return a.Request
	}
	ctx, cancel := context.WithCancel(a.Request.Context())
	a.supervise(ctx, cancel, cancel)
	return a.Request.WithContext(ctx)
}

// End sends what is left of a page that the script was added to, and waits
// for the watcher: nothing touches the answer after its handler. A handler
// that has panicked, as a proxy does when the app breaks off, has not settled
// its answer; then nothing that waits of it is sent any more.
func (a *Answer) End() {
	a.endBody()
	if a.stop != nil {
		a.stop()
		<-a.gone
	}
	if a.weld != nil {
		a.weld.Settle(nil, a.waiting != nil)
		a.weld.Seen = nil // it is the passage's, which is used again
	}
	a.forget()
}

// endBody sends what is left of a page that the script was added to. What came
// broken arrives broken: there is nobody else to tell.
func (a *Answer) endBody() {
	if a.body != nil {
		_ = a.body.Close()
		a.body = nil
		a.showHeader()
	}
}

// superviseStream is Begin for an answer that turns out to be a stream.
func (a *Answer) superviseStream(h http.Header) fate {
	if a.Private && a.Entry != nil && a.stop == nil && EventStream(h.Get("Content-Type")) {
		ctx, cancel := context.WithCancel(a.Request.Context())
		a.supervise(ctx, cancel, a.cutter())
	}
	return goes
}

// supervise starts the one watcher of an answer; end is how it ends it.
func (a *Answer) supervise(ctx context.Context, stop context.CancelFunc, end func()) {
	a.supervision = supervision{stop: stop, gone: make(chan struct{})}
	go func() {
		defer close(a.gone)
		a.watch(ctx, end)
	}()
}

// watch ends a stream when its session has ended, or lost a level that the
// stream was opened with.
func (a *Answer) watch(ctx context.Context, end func()) {
	tick := time.NewTicker(superviseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !a.Site.StillMeets(ctx, a.Entry, a.Needed) {
			a.sayWhy(ctx)
			end()
			return
		}
	}
}

// sayWhy has a WebSocket end with the reason.
func (a *Answer) sayWhy(ctx context.Context) {
	s := a.socket.Load()
	switch {
	case s == nil:
	case a.Site.StillMeets(ctx, a.Entry, 0):
		s.close(closeForbidden, "more proof of identity is needed")
	default:
		s.close(closeUnauthorized, "the session has ended")
	}
}

// cutter ends an answer that is under way: nothing more is written, and where
// the connection is the answer's own it is given up. The server's own writer
// may be told of a deadline while others write to it, those around it may not.
func (a *Answer) cutter() func() {
	controller := http.NewResponseController(innermost(a.ResponseWriter))
	return func() {
		a.ended.Store(true)
		// A deadline that has passed wakes HTTP/1's reader, which cancels the
		// request; HTTP/2 resets the stream for one of writing. Where neither
		// is known the next write fails.
		_ = controller.SetReadDeadline(time.Unix(1, 0))
		_ = controller.SetWriteDeadline(time.Unix(1, 0))
	}
}

func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		around, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = around.Unwrap()
	}
}

func opensStream(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 || EventStream(r.Header.Get("Accept"))
}

// EventStream tells whether a Content-Type, or an Accept, names an event
// stream.
func EventStream(contentType string) bool {
	return contentType != "" && strings.Contains(strings.ToLower(contentType), "text/event-stream")
}
