package admin

import (
	"cmp"
	"encoding/csv"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// pageSize is how many accounts a page of a search has, and the most that a
// bulk action is about.
const pageSize = 50

// searchView is the view of search.html.
type searchView struct {
	view
	Query string
	Found []found
	// Next is the address of the page behind; empty at the end.
	Next string
	// Bulk are the actions that may be done to several at once.
	Bulk []web.Option
	// Asked tells that something was looked for.
	Asked bool
}

// found is one account of a list.
type found struct {
	ID                                        account.ID
	Username, Name, Email, Organisation, Role string
	Suspended                                 bool
}

// rows are those of accounts, told apart where they share a username.
func (q *visit) rows(list []account.Account) ([]found, error) {
	ids := make([]account.ID, len(list))
	for i, a := range list {
		ids[i] = a.ID
	}
	names, err := q.Store.Usernames(q.ctx(), ids)
	if err != nil {
		return nil, err
	}
	var all []found
	for _, a := range list {
		all = append(all, found{a.ID, cmp.Or(names[a.ID], a.Username), a.Name, a.Email, a.Organisation, string(a.Role), a.Suspended()})
	}
	return all, nil
}

// search finds accounts by what is typed, or lists the first.
func (q *visit) search(_ string) error {
	f := account.Filter{Query: q.query("q"), After: account.ID(q.query("after")), Limit: pageSize + 1}
	v := &searchView{view: q.view(), Query: q.query("q")}
	v.Asked = v.Query != ""
	list, err := q.People.List(q.ctx(), q.actor, f)
	if errors.Is(err, account.ErrNotFound) && f.After != "" {
		return q.to("/?q=" + url.QueryEscape(v.Query)) // the last of the page before is gone
	}
	if err != nil {
		return forbidden(err)
	}
	if len(list) > pageSize {
		list = list[:pageSize]
		v.Next = "/admin/?" + url.Values{"q": {v.Query}, "after": {string(list[pageSize-1].ID)}}.Encode()
	}
	if v.Found, err = q.rows(list); err != nil {
		return err
	}
	for _, name := range bulkActs {
		if q.permitted(acts[name].action) {
			v.Bulk = append(v.Bulk, web.Option{Value: name, Text: q.text("bulk." + name)})
		}
	}
	return q.render(http.StatusOK, "search", v)
}

// language is that of the page.
func (q *visit) language() string { return web.Language(q.r, q.Web) }

// text is one of the catalogue in the language of the answer.
func (q *visit) text(id string, args ...any) string { return q.Pages.Text(q.r, q.Web, id, args...) }

// exportPage is how many accounts are read at once for a table.
const exportPage = 500

// export answers with all that a search finds, as a table for a spreadsheet.
func (q *visit) export(_ string) error {
	if !q.posted() {
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: http.MethodPost}
	}
	f := account.Filter{Query: q.fields.Get("q"), Limit: exportPage}
	some, err := q.People.List(q.ctx(), q.actor, f)
	if err != nil {
		return forbidden(err)
	}
	e := audit.Event{At: q.Now().UTC(), Name: audit.AdminAction, Outcome: "success", Reason: "accounts-exported"}
	q.sign(&e)
	if err := q.Recorder.Record(q.ctx(), e); err != nil {
		return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	h := q.w.Header()
	web.Harden(h, q.Web)
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="accounts.csv"`)
	if err := q.writeTable(some, f); err != nil {
		panic(http.ErrAbortHandler) // nobody takes half a table for the whole
	}
	return nil
}

// writeTable writes the first accounts that a filter selects and reads those
// behind them, some at a time, however many there are.
func (q *visit) writeTable(some []account.Account, f account.Filter) error {
	table := csv.NewWriter(q.w)
	if err := table.Write([]string{"username", "email", "mobile", "name", "groups", "organisation", "role", "source"}); err != nil {
		return err
	}
	for {
		for _, a := range some {
			if err := table.Write(disarmed(a.Username, a.Email, a.Mobile, a.Name, strings.Join(a.Groups, ";"), a.Organisation, string(a.Role), a.Source)); err != nil {
				return err
			}
		}
		if table.Flush(); table.Error() != nil || len(some) < f.Limit {
			return table.Error()
		}
		f.After = some[len(some)-1].ID
		var err error
		if some, err = q.People.List(q.ctx(), q.actor, f); err != nil {
			return err
		}
	}
}

// sign says in an event who was at the page.
func (q *visit) sign(e *audit.Event) {
	e.Account, e.Actor, e.Organisation = string(q.v.Owner.Account.ID), string(q.v.Owner.Account.ID), q.v.Owner.Account.Organisation
	e.Site, e.Address, e.UserAgent, e.Session = q.Place.Origin, q.Address(q.r).String(), q.r.UserAgent(), string(q.v.Session.ID)
}

// disarmed are the cells of a row, of which a spreadsheet takes none for a
// formula (OWASP, CSV Injection). What an import reads it takes off again.
func disarmed(cells ...string) []string {
	for i, cell := range cells {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			cells[i] = people.Disarm + cell
		}
	}
	return cells
}
