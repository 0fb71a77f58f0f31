package gate

import (
	"net/http"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
)

// This file is for logins in two pages: the name is sent first and kept by the
// app with its cookie, the password next. The gateway keeps the name with that
// cookie too.

// second finds the name of a login whose first page was sent before.
func (l *watchedLogin) second(values []weld.Hash) error {
	name, ok := l.live.Turns.TypedWith(values, l.live.now())
	if !ok {
		e := l.event(l.r, audit.InputRefused, l.visitor)
		e.Outcome, e.Reason = "refused", "login-without-name"
		l.observe(e)
		return &web.Fail{Status: http.StatusBadRequest, Title: "fail.nameless.title", Advice: "fail.nameless.advice", Reference: e.Reference, Err: legacyform.ErrSubmission}
	}
	l.login.Username = name
	return l.spend()
}

// remember keeps the name for a second page that comes without one.
func (l *watchedLogin) remember() {
	if l.Form.Pages() {
		after := weld.After(l.login.Cookies, l.answer.sent, l.live.now())
		l.live.Turns.RememberTyped(l.live.weld.Carried(after, l.visitor.id(), nil), l.login.Username, l.live.now())
	}
}
