package watched

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
func (l *login) second(values []weld.Hash) error {
	name, ok := l.site.Turns.TypedWith(values, l.site.Now())
	if !ok {
		reference := l.site.refused(l.HTTP, l.Visitor, audit.InputRefused, "login-without-name")
		return &web.Fail{Status: http.StatusBadRequest, Title: "fail.nameless.title", Advice: "fail.nameless.advice", Reference: reference, Err: legacyform.ErrSubmission}
	}
	l.login.Username = name
	return l.spend()
}

// remember keeps the name for a second page that comes without one.
func (l *login) remember() {
	if l.site.Form.Pages() {
		after := weld.After(l.login.Cookies, l.answer.sent, l.site.Now())
		l.site.Turns.RememberTyped(l.site.Weld.Carried(after, l.Visitor.id(), nil), l.login.Username, l.site.Now())
	}
}
