package admin

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
)

func TestTheTrailIsFilteredAndExplained(t *testing.T) {
	k := newRig(t)
	k.Explain = func(raw json.RawMessage) (string, error) { return "because " + string(raw), nil }
	b, _ := k.administrator(account.RoleAuditor, "north")
	joe := k.person(people.NewAccount{Username: "joe", Organisation: "south"})
	reference := audit.NewReference()
	if _, err := k.db.AppendEvent(t.Context(), audit.Event{
		At: k.clock(), Name: audit.AccessDenied, Account: string(joe.ID), Reference: reference, Rule: "/debug/*", Explanation: []byte(`{"rule":1}`),
	}); err != nil {
		t.Fatal(err)
	}
	b.open(home+"trail").wants(t, http.StatusOK, "The policy denied a request", "An account was made", "joe").lacks(t, ">authz_fail<")
	b.open(home+"trail?lang=cy").wants(t, http.StatusOK, "Gwrthododd y polisi gais", "Gwnaed cyfrif")
	b.open(home+"trail?event=authz_fail&account=joe&since=2026-03-04&until=2026-03-04").wants(t, http.StatusOK, reference).lacks(t, `>An account was made</a>`)
	b.open(home+"trail?since=2026-03-05").wants(t, http.StatusOK, "no such events")
	b.open(home+"trail?since=yesterday").wants(t, http.StatusBadRequest, `href="#since"`)
	b.open(home+"trail?reference="+reference).wants(t, http.StatusOK, "/debug/*", "authz_fail", "because {&#34;rule&#34;:1}")
	b.open(home+"event?reference=NONE").wants(t, http.StatusNotFound)
	k.Web.Zone = time.FixedZone("the site's", 3600)
	b.open(home+"event?record=1").wants(t, http.StatusOK, "&#43;01:00")
	k.Web.Zone = nil
	admin, _ := k.administrator(account.RoleAdmin, "north")
	for _, page := range []string{"trail", "event?record=1", "messages"} {
		admin.open(home+page).wants(t, http.StatusForbidden)
		b.open(home+page).wants(t, http.StatusOK)
	}
}

func TestAnExportDisarmsFormulas(t *testing.T) {
	k := newRig(t)
	b, _ := k.administrator(account.RoleAdmin, "north")
	k.person(people.NewAccount{Username: "=cmd|' /C calc'!A0", Name: "@SUM(1+1)", Mobile: "07700 900609", Organisation: "north"})
	s := b.send(b.open(home).form(t, "accounts.csv"), nil).wants(t, http.StatusOK, "'=cmd", "'@SUM", "'+447700900609")
	s.lacks(t, "\n=", ",@", ",+")
	if len(k.events(audit.AdminAction)) != 1 {
		t.Error("the export is not in the trail")
	}
}

func TestAnExportHasAllThatAreFound(t *testing.T) {
	k := newRig(t)
	b, _ := k.administrator(account.RoleAdmin, "north")
	var table strings.Builder
	table.WriteString("username,organisation\n")
	const n = 2*exportPage + 1
	for i := range n {
		fmt.Fprintf(&table, "person%d,north\n", i)
	}
	if _, err := k.People.Import(t.Context(), people.Operator(), people.Table{CSV: []byte(table.String())}); err != nil {
		t.Fatal(err)
	}
	k.person(people.NewAccount{Username: "person-of-south", Organisation: "south"})
	f := b.open(home+"?q=person").form(t, "accounts.csv")
	rows, err := csv.NewReader(strings.NewReader(b.send(f, nil).wants(t, http.StatusOK).text)).ReadAll()
	if err != nil || len(rows) != n+1 {
		t.Errorf("%d rows of %d accounts, %v", len(rows), n, err)
	}
}
