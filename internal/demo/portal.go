package demo

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"html/template"
	"net"
	"net/http"
	"strings"
	"time"
)

//go:embed assets pages inbox
var files embed.FS

const (
	shutdownTime = 5 * time.Second
	formBytes    = 64 << 10
)

// portal is the whole application; all its handlers are methods of it.
type portal struct {
	pages    map[string]*template.Template
	records  *records
	tokenKey []byte
	notice   time.Duration // between two events of the notice board
	now      func() time.Time
}

// New returns a fresh portal with its example records. It keeps everything in
// memory and is safe for concurrent use.
func New() http.Handler {
	return newPortal().handler()
}

// Serve answers on l until ctx ends, then closes event streams and gives
// requests in flight five seconds. It returns nil when ctx ended it.
func Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           New(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := srv.Shutdown(last); err != nil {
		_ = srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newPortal() *portal {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand stops the process instead
	return &portal{
		pages:    parsePages(),
		records:  newRecords(),
		tokenKey: key,
		notice:   5 * time.Second,
		now:      time.Now,
	}
}

func (p *portal) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.home)
	mux.HandleFunc("GET /about", p.about)
	mux.Handle("GET /assets/", http.FileServerFS(files))
	mux.HandleFunc("GET /cases", p.listCases)
	mux.HandleFunc("GET /cases/{id}", p.showCase)
	mux.HandleFunc("POST /cases/{id}/notes", p.addNote)
	mux.HandleFunc("GET /cases/{id}/documents", p.listDocuments)
	mux.HandleFunc("POST /cases/{id}/documents", p.fileDocument)
	mux.HandleFunc("GET /cases/{id}/documents/{n}", p.download)
	mux.HandleFunc("GET /cases/{id}/live", p.livePage)
	mux.HandleFunc("GET /api/cases/{id}/status", p.caseStatus)
	mux.HandleFunc("POST /api/cases/{id}/close", p.closeCase)
	mux.HandleFunc("GET /messages", p.messages)
	mux.HandleFunc("GET /events", p.events)
	mux.HandleFunc("GET /admin/{$}", p.listUsers)
	mux.HandleFunc("POST /admin/delete", p.deleteUser)
	mux.HandleFunc("GET /payments", p.listPayments)
	mux.HandleFunc("GET /payments/new", p.paymentForm)
	mux.HandleFunc("POST /payments", p.pay)
	mux.HandleFunc("GET /reports/2026.pdf", p.report)
	mux.HandleFunc("GET /debug/vars", p.debugVars)
	mux.HandleFunc("/", p.notFound)

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/echo" || strings.HasPrefix(r.URL.Path, "/echo/") {
			echo(w, r) // before the mux, which would tidy the target up
			return
		}
		mux.ServeHTTP(w, r)
	})
}
