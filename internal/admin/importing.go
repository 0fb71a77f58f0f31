package admin

import (
	"errors"
	"net/http"
	"strings"

	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// importView is the view of import.html.
type importView struct {
	view
	// Broken are the lines that are wrong, as people says them.
	Broken []string
	// Ready is set after a trial that found nothing wrong: Count accounts, and
	// the Table to be sent again.
	Ready    bool
	Count    int
	Warnings []string
	Table    string
	// Made is set when they have been made.
	Made bool
}

// importTable tries a table of new accounts, and makes them when it was tried.
func (q *visit) importTable(_ string) error {
	if !q.permitted(people.ActManage) {
		return &web.Fail{Status: http.StatusForbidden, Title: "forbidden.title", Advice: "forbidden.advice"}
	}
	v := &importView{view: q.view()}
	if !q.posted() {
		return q.render(http.StatusOK, "import", v)
	}
	table := q.file
	if len(table) == 0 {
		table = []byte(q.fields.Get("table_text"))
	}
	if len(strings.TrimSpace(string(table))) == 0 {
		v.Errors = []web.FieldError{{Field: "table", Text: "error.import.empty"}}
		return q.render(http.StatusBadRequest, "import", v)
	}
	dry := q.fields.Get("action") != "import"
	made, err := q.People.Import(q.ctx(), q.actor, people.Table{CSV: table, DryRun: dry, Reason: q.fields.Get("reason")})
	var no *people.Error
	switch {
	case errors.Is(err, people.ErrForbidden):
		return forbidden(err)
	case errors.As(err, &no):
		for line := range strings.Lines(no.In(q.language())) {
			v.Broken = append(v.Broken, strings.TrimSpace(line))
		}
		v.Errors = []web.FieldError{{Field: "table", Text: "error.import.broken"}}
		return q.render(http.StatusBadRequest, "import", v)
	case err != nil:
		return err
	}
	v.Count, v.Warnings, v.Made = made.Accounts, q.inWords(made.Warnings), !dry
	if dry {
		v.Ready, v.Table = true, string(table)
	}
	return q.render(http.StatusOK, "import", v)
}
