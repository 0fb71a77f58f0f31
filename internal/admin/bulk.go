package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// bulkActs are the acts that may be done to several accounts at once.
var bulkActs = []string{"suspend", "resume", "reset-factors", "invite", "factors-on"}

// bulkView is the view of bulk.html and of report.html.
type bulkView struct {
	view
	Act   string
	IDs   []account.ID
	Lines []bulkLine
	// Failed counts the lines where it could not be done.
	Failed int
}

// bulkLine is one of the accounts, and what became of it.
type bulkLine struct {
	ID             account.ID
	Username, Name string
	// Result is the id of a text, Why what people say of a no.
	Result, Why string
	// URL is a link that nobody else brings.
	URL string
}

// bulk names the accounts of an action, and does it when the form is posted.
func (q *visit) bulk(_ string) error {
	name, ids := q.query("action"), q.r.URL.Query()["id"]
	if q.posted() {
		name, ids = q.fields.Get("action"), q.fields["id"]
	}
	a := acts[name]
	if !slices.Contains(bulkActs, name) || len(ids) > pageSize {
		return &web.Fail{Status: http.StatusBadRequest}
	}
	if !q.permitted(a.action) {
		return &web.Fail{Status: http.StatusForbidden, Title: "forbidden.title", Advice: "forbidden.advice"}
	}
	v := &bulkView{view: q.view(), Act: name}
	v.Back = q.Web.Path("/admin/")
	for _, id := range ids {
		record, err := q.People.Show(q.ctx(), q.actor, people.Who{ID: account.ID(id)})
		if err != nil {
			return missing(err)
		}
		v.IDs = append(v.IDs, record.Account.ID)
		v.Lines = append(v.Lines, bulkLine{ID: record.Account.ID, Username: record.Account.Username, Name: record.Account.Name})
	}
	o := q.bulkOperation(name, ids)
	if !q.posted() {
		if a.fresh && len(ids) > 0 {
			if on, err := q.Door.Authorised(q.w, q.r, q.v, o); err != nil || !on {
				return err
			}
		}
		return q.render(http.StatusOK, "bulk", v)
	}
	if a.fresh {
		if on, err := q.Door.Spend(q.w, q.r, q.v, o); err != nil || !on {
			return err
		}
	}
	if err := q.doAll(v, a); err != nil {
		return err
	}
	return q.render(http.StatusOK, "report", v)
}

// bulkOperation names an action and all whom it is about.
func (q *visit) bulkOperation(name string, ids []string) ceremony.Operation {
	sorted := slices.Sorted(slices.Values(ids))
	sum := sha256.Sum256([]byte(strings.Join(sorted, " ")))
	return ceremony.Operation{
		Once: "admin bulk-" + name + " " + hex.EncodeToString(sum[:16]), Text: "operation.account",
		Page: q.Web.Path("/admin/bulk?" + url.Values{"action": {name}, "id": ids}.Encode()),
	}
}

// doAll does it to each by itself: what cannot be done to one is done to the
// others all the same, and the report says so.
func (q *visit) doAll(v *bulkView, a act) error {
	for i := range v.Lines {
		line := &v.Lines[i]
		shown, err := a.do(q, people.Who{ID: line.ID}, q.fields.Get("reason"))
		var no *people.Error
		switch {
		case err == nil:
			line.Result = "report.done"
			if shown != nil {
				line.URL = shown.URL
			}
		case errors.Is(err, people.ErrWaiting):
			line.Result = "report.waiting"
		case errors.As(err, &no):
			line.Result, line.Why = "report.refused", no.Text.In(q.language())
			v.Failed++
		default:
			return err
		}
	}
	return nil
}
