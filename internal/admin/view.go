package admin

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// view is what all pages have in common.
type view struct {
	web.View
	Tabs []tab
	// Done is the id of the text that says what has just happened.
	Done string
}

// tab leads to one of the pages that stand beside one another.
type tab struct {
	Path, Text string
	Here       bool
}

// tabs are those pages, with who may see them.
var tabs = []struct {
	path, text string
	act        people.Action
}{
	{"/", "tab.people", people.ActFind},
	{"/new", "tab.new", people.ActManage},
	{"/import", "tab.import", people.ActManage},
	{"/organisations", "tab.organisations", people.ActFind},
	{"/approvals", "tab.approvals", people.ActResetFactors},
	{"/trail", "tab.trail", people.ActAudit},
	{"/messages", "tab.messages", people.ActAudit},
}

// dones are what a page may be told by its address that has just happened.
var dones = []string{
	"created", "saved", "suspend", "resume", "delete", "invite", "password-reset", "factors-on", "factors-off", "reset-factors", "key", "caller", "caller-sent",
	"revoke-device", "revoke-phone", "revoke-token", "waiting", "approved", "declined", "organisation",
}

// view begins a page.
func (q *visit) view() view {
	v := view{View: web.View{CSRF: q.Guard.Token(q.binding()), Account: q.v.Owner.Account.Username, Wide: true}}
	at := strings.TrimPrefix(q.r.URL.Path, q.Web.Path("/admin"))
	for _, t := range tabs {
		if q.permitted(t.act) {
			v.Tabs = append(v.Tabs, tab{"/admin" + t.path, t.text, t.path == at})
		}
	}
	for _, done := range dones {
		if q.query("done") == done {
			v.Done = "done." + done
		}
	}
	return v
}

// said are the errors of a page that shows its form again after a "no", and
// nothing for what is not one.
func (q *visit) said(err error) []web.FieldError {
	var no *people.Error
	if !errors.As(err, &no) {
		return nil
	}
	id := "error.refused"
	switch {
	case errors.Is(err, people.ErrInvalid):
		id = "error.invalid"
	case errors.Is(err, people.ErrForbidden):
		id = "error.forbidden"
	case errors.Is(err, people.ErrUnchecked):
		id = "error.unchecked"
	}
	why := no.Text.In(q.language())
	if mend := no.Mend.In(q.language()); mend != "" && !strings.Contains(mend, "`") {
		first, size := utf8.DecodeRuneInString(mend)
		why += ". " + string(unicode.ToUpper(first)) + mend[size:]
	}
	var all []web.FieldError
	for line := range strings.Lines(why) {
		all = append(all, web.FieldError{Field: no.Field, Text: id, Args: []any{"why", strings.TrimSpace(line)}})
	}
	return all
}
