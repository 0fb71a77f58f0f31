package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Problem is the answer to programs: RFC 9457, with our extension members.
type Problem struct {
	Status int
	// Title and Detail are for people: the kind of problem, and what to do.
	Title, Detail string
	// Levels are all that the request needs. With status 401 they are also
	// named by WWW-Authenticate (RFC 9470 §3).
	Levels []string
	// MaxAge is how old the proofs may be. Zero: any age.
	MaxAge time.Duration
	// ChallengeURL is where the person can meet the levels.
	ChallengeURL string
	// Method is that of the request, which a redirect may have changed; Once
	// says that a proof will open this very request and no other. Both are for
	// scripts that repeat it.
	Method    string
	Once      bool
	Reference string
	// Realm is set where a program could send a token instead: in whose name it
	// is asked for one. Browsers ask their person for a password then.
	Realm string
	// RetryAfter is when to come back. Zero says nothing.
	RetryAfter time.Duration
}

// wire is the JSON of a Problem.
type wire struct {
	Title        string   `json:"title,omitempty"`
	Status       int      `json:"status"`
	Detail       string   `json:"detail,omitempty"`
	Levels       []string `json:"levels,omitempty"`
	MaxAge       int64    `json:"max_age_s,omitempty"`
	ChallengeURL string   `json:"challenge_url,omitempty"`
	Method       string   `json:"method,omitempty"`
	Once         bool     `json:"once,omitempty"`
	Reference    string   `json:"reference,omitempty"`
}

// Write answers w with p.
func (p Problem) Write(w http.ResponseWriter, site *Site) {
	h := w.Header()
	Harden(h, site)
	h.Set("Content-Type", "application/problem+json")
	SetRetryAfter(h, p.RetryAfter)
	if p.Status == http.StatusUnauthorized && h["Www-Authenticate"] == nil { // else the app's own question goes out
		h.Set("WWW-Authenticate", p.authenticate())
		if p.Realm != "" {
			h.Add("WWW-Authenticate", "Bearer realm="+quoted(p.Realm))
			h.Add("WWW-Authenticate", "Basic realm="+quoted(p.Realm)+`, charset="UTF-8"`)
		}
	}
	body, err := json.Marshal(wire{
		Title: p.Title, Status: p.Status, Detail: p.Detail, Levels: p.Levels,
		MaxAge: seconds(p.MaxAge), ChallengeURL: p.ChallengeURL, Method: p.Method, Once: p.Once, Reference: p.Reference,
	})
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n'))
}

// authenticate is the step-up challenge of RFC 9470 §3 under a scheme of our
// own, so that no browser asks for a password in a box.
func (p Problem) authenticate() string {
	s := `Stepgate error="insufficient_user_authentication"`
	if len(p.Levels) > 0 {
		s += ", acr_values=" + quoted(strings.Join(p.Levels, " "))
	}
	if p.MaxAge > 0 {
		s += fmt.Sprintf(", max_age=%d", seconds(p.MaxAge))
	}
	return s
}

// quoted is a quoted-string (RFC 9110 §5.6.4); bytes that may not stand in one
// are dropped.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\t' || c >= ' ' && c != 0x7f:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// seconds rounds up: nobody is sent back too early.
func seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}

// SetRetryAfter tells browsers and programs when to come back; nothing for a
// wait of nothing.
func SetRetryAfter(h http.Header, d time.Duration) {
	if d > 0 {
		h.Set("Retry-After", fmt.Sprint(seconds(d)))
	}
}
