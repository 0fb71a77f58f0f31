package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Fail is an error with what the visitor reads about it. The words are fixed
// ones: nothing of Err ever reaches them. The zero texts are those of the
// status, so Fail{Status: 404} is a whole answer.
type Fail struct {
	// Status of the answer. Zero is 500.
	Status int
	// Title and Advice: what is the matter, and what the person can do. Ids of
	// a catalogue, or plain words.
	Title, Advice string
	// Back is the page of the gateway's that the person is led back to, instead
	// of being offered the same page again. Empty is none.
	Back string
	// Next is a page of the gateway's on which the person can put it right, and
	// NextText what its link says. Both are empty for none.
	Next, NextText string
	// Args are parameters of both texts: name, value, name, value.
	Args []any
	// RetryAfter is when trying again makes sense. Zero is what Err says by a
	// method ComeBack() time.Duration, and nothing where it has none.
	RetryAfter time.Duration
	// Allow names the methods that would do, with status 405.
	Allow string
	// Reference under which the caller wrote it down already. Empty makes one.
	Reference string
	// Err is for the operator's log.
	Err error
}

// Error is for logs, never for pages.
func (f *Fail) Error() string {
	text := fmt.Sprintf("%d %s", f.status(), http.StatusText(f.status()))
	if f.Err != nil {
		return text + ": " + f.Err.Error()
	}
	return text
}

// Unwrap gives the operator's error.
func (f *Fail) Unwrap() error { return f.Err }

// WrittenDown tells whether err has a reference already, under which its maker
// wrote it down.
func WrittenDown(err error) bool {
	f := (*Fail)(nil)
	return errors.As(err, &f) && f.Reference != ""
}

func (f *Fail) status() int {
	if f.Status < 400 || f.Status > 599 {
		return http.StatusInternalServerError
	}
	return f.Status
}

// asFail gives err as a complete Fail of its own: any other error is a plain 500.
func asFail(err error) Fail {
	f := Fail{Err: err}
	if known := (*Fail)(nil); errors.As(err, &known) {
		f = *known
	}
	f.Status = f.status()
	var busy interface{ ComeBack() time.Duration }
	if f.RetryAfter == 0 && errors.As(f.Err, &busy) {
		f.RetryAfter = busy.ComeBack()
	}
	if f.Title == "" {
		f.Title = fmt.Sprintf("fail.%d.title", f.Status)
	}
	if f.Advice == "" {
		f.Advice = fmt.Sprintf("fail.%d.advice", f.Status)
	}
	if f.Reference == "" {
		f.Reference = NewReference()
	}
	return f
}

// failView is the view of the page fail.html.
type failView struct {
	View
	Advice, Wait, Reference string
	// Again is the page itself, where asking for it once more may help.
	Again string
	// Home is set where the first page is another one.
	Home bool
	// Other offers to sign in as somebody else.
	Other bool
	// Next is where it can be put right, and what the link to it says.
	Next, NextText string
}

// RenderFail answers with err: a page for navigations, a problem document for
// everything else. It gives the reference that the visitor sees, for the
// caller's log. Nothing must have been written before.
func (p *Pages) RenderFail(w http.ResponseWriter, r *http.Request, site *Site, err error) (reference string) {
	f := asFail(err)
	lang := p.kit.own.language(r, site)
	words := p.wordsFor(lang)
	title, advice := p.failTexts(words, f)
	SetRetryAfter(w.Header(), f.RetryAfter)
	if f.Allow != "" {
		w.Header().Set("Allow", f.Allow)
	}
	if !Navigation(r) {
		Problem{Status: f.Status, Title: title, Detail: advice, Reference: f.Reference}.Write(w, site)
		return f.Reference
	}
	view := &failView{View: View{Title: title, Back: f.Back}, Advice: advice, Reference: f.Reference, Wait: waitText(words, f.RetryAfter)}
	if f.Next != "" {
		view.Next, view.NextText = f.Next, words.or(f.NextText, nil)
	}
	view.nextSteps(r, f.Status)
	if err := p.kit.own.render(w, p.kit.own.newPage(r, site, lang), f.Status, "fail", view); err != nil {
		p.kit.log(r, "error page", f.Reference, err)
		http.Error(w, "Sorry, there is a problem. Reference: "+f.Reference, f.Status)
	}
	return f.Reference
}

// nextSteps gives the page its links: none is a dead end.
func (v *failView) nextSteps(r *http.Request, status int) {
	asked := r.Method == http.MethodGet || r.Method == http.MethodHead
	v.Home = !asked || r.RequestURI != "/"
	mayPass := status >= 500 || status == http.StatusTooManyRequests || status == http.StatusConflict
	if asked && SafePath(r.RequestURI) && (mayPass || !v.Home) && v.Back == "" {
		v.Again = r.RequestURI
	}
	v.Other = status == http.StatusForbidden
}

// failTexts falls back to the texts of 500 for a status without its own.
func (p *Pages) failTexts(words words, f Fail) (title, advice string) {
	general := "fail.4xx"
	if f.Status >= 500 {
		general = "fail.500"
	}
	pick := func(given, kind string) string {
		if given == fmt.Sprintf("fail.%d.%s", f.Status, kind) && !words.has(given) {
			given = general + "." + kind
		}
		return words.or(given, f.Args)
	}
	return pick(f.Title, "title"), pick(f.Advice, "advice")
}

func waitText(words words, d time.Duration) string {
	if d <= 0 {
		return ""
	}
	id, args := waitWords(d)
	return words.or(id, args)
}

func waitWords(d time.Duration) (id string, args []any) {
	id, count := "wait.seconds", int(seconds(d))
	if count > 90 {
		id, count = "wait.minutes", (count+59)/60
	}
	return id, []any{"count", count}
}

// Excuse is the failure as the errors of a page that shows its form again: what
// is the matter, and when it makes sense to try again.
func (f *Fail) Excuse() []FieldError {
	errs := []FieldError{{Text: f.Advice, Args: f.Args}}
	if f.RetryAfter > 0 {
		id, args := waitWords(f.RetryAfter)
		errs = append(errs, FieldError{Text: id, Args: args})
	}
	return errs
}
