package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// LogFunc writes down what became of a request. Reference is what the visitor
// was shown; err is complete and may name addresses, never secrets.
type LogFunc func(ctx context.Context, level slog.Level, message, reference string, err error)

// Handler is a page handler: it writes an answer, or returns an error and has
// written nothing.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Handle is the one place where errors of page handlers become answers. What
// is our fault (500 and above) is logged as an error, the rest for debugging. A
// panic is an answer too and ends nothing but its request.
func (p *Pages) Handle(site *Site, h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := call(h, w, r); err != nil {
			reference := p.RenderFail(w, r, site, err)
			p.kit.log(r, "page refused", reference, err)
			if !WrittenDown(err) {
				p.kit.refused(r, reference, err)
			}
		}
	})
}

// Handle is Pages.Handle for packages without pages of their own.
func (k *Kit) Handle(site *Site, h Handler) http.Handler { return k.own.Handle(site, h) }

// RenderFail is Pages.RenderFail for packages without pages of their own.
func (k *Kit) RenderFail(w http.ResponseWriter, r *http.Request, site *Site, err error) (reference string) {
	return k.own.RenderFail(w, r, site, err)
}

// errPanicked marks what a panic left behind.
var errPanicked = errors.New("page handler panicked")

func call(h Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			panic(cause)
		default:
			err = fmt.Errorf("%w: %v", errPanicked, cause)
		}
	}()
	return h(w, r)
}

func (k *Kit) refused(r *http.Request, reference string, err error) {
	if k.options.Refused != nil {
		k.options.Refused(r, reference, err)
	}
}

func (k *Kit) log(r *http.Request, message, reference string, err error) {
	if k.options.Log == nil {
		return
	}
	level := slog.LevelDebug
	if f := (*Fail)(nil); !errors.As(err, &f) || f.status() >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	k.options.Log(r.Context(), level, message, reference, err)
}
