package admin

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// trailView is the view of trail.html.
type trailView struct {
	view
	Events []trailLine
	Kinds  []web.Option
	// Next is the address of the page of what was before; empty at the end.
	Next string
}

// Filtered tells whether the form says more than nothing.
func (v *trailView) Filtered() bool {
	for _, value := range v.Values {
		if value != "" {
			return true
		}
	}
	return len(v.Errors) > 0
}

type trailLine struct {
	Seq int64
	At  time.Time
	// Event is the id of a text.
	Event, Outcome, Who, By, Address, Why, Reference string
}

// eventView is the view of event.html.
type eventView struct {
	view
	Fields []eventField
	// Explanation is the policy's own account, in lines.
	Explanation string
}

type eventField struct{ Name, Value string }

// outcomes are the words of the trail that have a text "outcome.WORD".
var outcomes = []string{"allow", "step-up", "deny", "success", "fail", "refused", "dropped"}

// outcomeText is an outcome in the words of the page.
func (q *visit) outcomeText(word string) string {
	if slices.Contains(outcomes, word) {
		return q.text("outcome." + word)
	}
	return word
}

// filters are the fields of the form above the trail.
var filters = []string{"account", "event", "organisation", "since", "until", "reference"}

// audited lets in whoever may read the trail.
func (q *visit) audited() error {
	if !q.permitted(people.ActAudit) {
		return &web.Fail{Status: http.StatusForbidden, Title: "forbidden.title", Advice: "forbidden.advice"}
	}
	return nil
}

// trail lists events, the newest first.
func (q *visit) trail(_ string) error {
	if err := q.audited(); err != nil {
		return err
	}
	v := &trailView{view: q.view()}
	v.Values = map[string]string{}
	for _, name := range filters {
		v.Values[name] = q.query(name)
	}
	if v.Values["reference"] != "" {
		return q.to("/event?reference=" + url.QueryEscape(v.Values["reference"]))
	}
	v.Kinds = append(v.Kinds, web.Option{Text: q.text("trail.all")})
	for _, k := range audit.Kinds() {
		v.Kinds = append(v.Kinds, web.Option{Value: string(k.Name), Text: q.text("event." + string(k.Name))})
	}
	slices.SortFunc(v.Kinds[1:], func(a, b web.Option) int { return strings.Compare(a.Text, b.Text) })
	filter, errs, err := q.trailQuery(v.Values)
	if err != nil {
		return err
	}
	if v.Errors = errs; errs != nil {
		return q.render(http.StatusBadRequest, "trail", v)
	}
	records, err := q.Store.Events(q.ctx(), filter)
	if err != nil {
		return err
	}
	if len(records) > pageSize {
		records = records[:pageSize]
		next := url.Values{"before": {strconv.FormatInt(records[pageSize-1].Seq, 10)}}
		for name, value := range v.Values {
			if value != "" {
				next.Set(name, value)
			}
		}
		v.Next = "/admin/trail?" + next.Encode()
	}
	v.Events, err = q.lines(records)
	if err != nil {
		return err
	}
	return q.render(http.StatusOK, "trail", v)
}

// lines are records with the names of their accounts, read all at once.
func (q *visit) lines(records []audit.Record) ([]trailLine, error) {
	var ids []account.ID
	for _, r := range records {
		ids = append(ids, account.ID(r.Account), account.ID(r.Actor))
	}
	slices.Sort(ids)
	names, err := q.Store.Usernames(q.ctx(), slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	var all []trailLine
	for _, r := range records {
		line := lineOf(r, names)
		line.Outcome = q.outcomeText(r.Outcome)
		all = append(all, line)
	}
	return all, nil
}

// lineOf is a record with the names of its accounts, where they still have one.
func lineOf(r audit.Record, names map[account.ID]string) trailLine {
	name := func(id string) string { return cmp.Or(names[account.ID(id)], id) }
	line := trailLine{
		Seq: r.Seq, At: r.At, Event: "event." + string(r.Name), Outcome: r.Outcome, Who: name(r.Account), Address: r.Address, Why: strings.TrimSpace(r.Reason + " " + r.Rule),
		Reference: r.Reference,
	}
	if r.Actor != r.Account {
		line.By = name(r.Actor)
	}
	return line
}

// trailQuery is what the form asks for, or what is wrong with it.
func (q *visit) trailQuery(values map[string]string) (audit.Query, []web.FieldError, error) {
	f := audit.Query{Organisation: values["organisation"], Limit: pageSize + 1}
	f.Before, _ = strconv.ParseInt(q.query("before"), 10, 64)
	var errs []web.FieldError
	if name := audit.Name(values["event"]); name != "" {
		if f.Names = []audit.Name{name}; !name.Known() {
			errs = append(errs, web.FieldError{Field: "event", Text: "error.trail.event"})
		}
	}
	for field, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if values[field] == "" {
			continue
		}
		day, err := time.ParseInLocation(time.DateOnly, values[field], q.zone())
		if err != nil {
			errs = append(errs, web.FieldError{Field: field, Text: "error.trail.date"})
		}
		if *at = day.UTC(); field == "until" {
			*at = day.AddDate(0, 0, 1).UTC() // that day is included
		}
	}
	if typed := values["account"]; typed != "" {
		record, err := q.People.Show(q.ctx(), q.actor, people.Who{Username: typed})
		switch {
		case err == nil:
			f.Account = string(record.Account.ID)
		case errors.Is(err, account.ErrNotFound), errors.Is(err, people.ErrRefused):
			f.Account = typed // an ID; that of an account that is gone as well
		default:
			return f, nil, err
		}
	}
	return f, errs, nil
}

func (q *visit) zone() *time.Location {
	if q.Web.Zone != nil {
		return q.Web.Zone
	}
	return time.UTC
}

// event shows all that one event says, by its reference or its number.
func (q *visit) event(_ string) error {
	if err := q.audited(); err != nil {
		return err
	}
	record, err := q.found()
	if errors.Is(err, audit.ErrNotFound) {
		return &web.Fail{Status: http.StatusNotFound, Title: "trail.none.title", Advice: "trail.none.advice"}
	}
	if err != nil {
		return err
	}
	v := &eventView{view: q.view()}
	v.Title, v.Back = "event."+string(record.Name), q.Web.Path("/admin/trail")
	lines, err := q.lines([]audit.Record{record})
	if err != nil {
		return err
	}
	line := lines[0]
	add := func(name, value string) {
		if value != "" {
			v.Fields = append(v.Fields, eventField{q.text("event.field." + name), value})
		}
	}
	add("event", string(record.Name))
	add("time", record.At.In(q.zone()).Format(time.RFC3339))
	for _, f := range [][2]string{
		{"outcome", line.Outcome}, {"reason", record.Reason}, {"account", line.Who}, {"actor", line.By}, {"organisation", record.Organisation},
		{"site", record.Site}, {"factor", record.Factor}, {"levels", strings.Join(record.Levels, " ")}, {"rule", record.Rule}, {"address", record.Address},
		{"browser", record.UserAgent}, {"reference", record.Reference}, {"record", strconv.FormatInt(record.Seq, 10)},
	} {
		add(f[0], f[1])
	}
	for _, f := range record.Detail {
		v.Fields = append(v.Fields, eventField{f.Key, f.Value})
	}
	if len(record.Explanation) > 0 && q.Explain != nil {
		if v.Explanation, err = q.Explain(record.Explanation); err != nil {
			return err
		}
	}
	return q.render(http.StatusOK, "event", v)
}

func (q *visit) found() (audit.Record, error) {
	if reference := q.query("reference"); reference != "" {
		return q.Store.EventByReference(q.ctx(), audit.FoldReference(reference))
	}
	seq, err := strconv.ParseInt(q.query("record"), 10, 64)
	if err != nil || seq < 1 {
		return audit.Record{}, audit.ErrNotFound
	}
	records, err := q.Store.Events(q.ctx(), audit.Query{Before: seq + 1, Limit: 1})
	if err != nil || len(records) == 0 || records[0].Seq != seq {
		return audit.Record{}, errors.Join(err, audit.ErrNotFound)
	}
	return records[0], nil
}

// messagesView is the view of messages.html.
type messagesView struct {
	view
	All []Messages
}

// sent tells what went out this month, and what is left.
func (q *visit) sent(_ string) error {
	if err := q.audited(); err != nil {
		return err
	}
	v := &messagesView{view: q.view()}
	if q.Site.Messages != nil {
		var err error
		if v.All, err = q.Site.Messages(q.ctx()); err != nil {
			return err
		}
	}
	return q.render(http.StatusOK, "messages", v)
}
