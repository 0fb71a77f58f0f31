package sqldb

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// TestListingsGoAlongAnIndex asks SQLite how it would answer: to read a table
// from its beginning, or to sort, costs more with every account there is.
func TestListingsGoAlongAnIndex(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "stepgate.db"), storetest.NewRing(t))
	for name, query := range map[string]string{
		"all": listAll, "organisation": listOrganisation, "role": listRole, "find": findAll, "find in an organisation": findOrganisation,
	} {
		plan := strings.Split(planOf(t, db, selectAccount+query, make([]any, strings.Count(query, "$"))[:highest(query)]...), "; ")
		for _, step := range plan {
			if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") || name != "find" && strings.Contains(step, "account_word USING PRIMARY KEY (word>") {
				t.Errorf("%s: %s", name, strings.Join(plan, "; "))
				break
			}
		}
	}
}

// TestEventsGoAlongTheirOwnIndex asks SQLite by which index it would answer:
// one that leaves more to be looked through costs more with every event.
func TestEventsGoAlongTheirOwnIndex(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "stepgate.db"), storetest.NewRing(t))
	one := []audit.Name{audit.LoginSuccess}
	for _, row := range []struct {
		query audit.Query
		index string
	}{
		{audit.Query{Account: "a"}, "audit_event_account"},
		{audit.Query{Account: "a", Names: one, Organisation: "o"}, "audit_event_account"},
		{audit.Query{Actor: "a", Names: one, Organisation: "o"}, "audit_event_actor"},
		{audit.Query{Names: one}, "audit_event_name"},
		{audit.Query{Organisation: "o"}, "audit_event_organisation"},
		{audit.Query{Names: one, Organisation: "o"}, "audit_event_organisation_name"},
	} {
		for _, bounds := range [][2]int64{{}, {0, 1000}, {1, 0}, {1, 1000}} {
			c := conditionsOf(row.query, row.query.Names, bounds[0], bounds[1])
			if plan := planOf(t, db, selectEvents+c.where()+` ORDER BY seq DESC LIMIT 51`, c.args...); !strings.Contains(plan, "USING INDEX "+row.index+" (") || strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("%+v within %d: %s", row.query, bounds, plan)
			}
		}
	}
	if plan := planOf(t, db, selectEvents+whereReference, "R"); !strings.Contains(plan, "USING INDEX audit_event_reference") {
		t.Errorf("a reference: %s", plan)
	}
}

// planOf is how SQLite would answer a query, step by step.
func planOf(t *testing.T, db *DB, query string, args ...any) string {
	t.Helper()
	var plan []string
	err := db.q.each(t.Context(), func(rows row) error {
		var id, parent, unused int
		var detail string
		err := rows.Scan(&id, &parent, &unused, &detail)
		plan = append(plan, detail)
		return err
	}, `EXPLAIN QUERY PLAN `+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "; ")
}

// highest is the number of placeholders of a query.
func highest(query string) (n int) {
	for _, p := range placeholder.FindAllString(query, -1) {
		at, _ := strconv.Atoi(p[1:])
		n = max(n, at)
	}
	return n
}

// townsman is one of them. One in 40 is called John, and one in 90 Smith, as
// in the towns of one country.
func townsman(i int) account.Account {
	a := account.Account{
		ID: account.NewID(), Source: account.LocalSource, Username: "user" + strconv.Itoa(i), Organisation: account.DefaultOrganisation,
		Role: account.RoleUser, CreatedAt: storetest.Noon,
	}
	first, last := fmt.Sprintf("%cean%d", 'a'+i%26, i%1999), fmt.Sprintf("%coe%d", 'z'-i/3%26, i%9973)
	if i%40 == 0 {
		first = "John"
	}
	if i%90 < 2 && i%90 > 0 {
		last = "Smith"
	}
	if i%3600 == 0 {
		first, last = "John", "Smith"
	}
	a.Subject, a.Name, a.Email = string(a.ID), first+" "+last, a.Username+"@example.org"
	if i%5003 == 0 {
		a.Organisation, a.Role = "village", account.RoleAdmin
	}
	return a
}

// TestEveryFillHasItsStep: a renamed migration must not leave its part in Go
// behind.
func TestEveryFillHasItsStep(t *testing.T) {
	for name := range fills {
		for _, dialect := range []string{"sqlite", "postgres"} {
			if _, err := fs.Stat(steps(dialect), name); err != nil {
				t.Error(err)
			}
		}
	}
}
