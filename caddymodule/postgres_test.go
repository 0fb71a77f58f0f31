package caddymodule

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/internal/people"
)

func TestWalkOnPostgreSQL(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a database server")
	}
	dsn := legacytest.StartPostgres(t)
	head := strings.Replace(testHead, "store sqlite {{dir}}/stepgate.db", "store postgres "+strconv.Quote(dsn)+"\n\t\tkey_file {{dir}}/stepgate.key", 1)
	g := startGateway(t, head+walkSite, nil)
	joe := g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1?x=1"), "joe")).want(200, "/cases/1?x=1")
	if _, err := os.Stat(filepath.Join(g.dir, "stepgate.db")); err == nil {
		t.Error("an SQLite file was made")
	}
	g.load(head + strings.Replace(walkSite, "/debug/*", "/debug/* /hidden/*", 1))
	b.get("/cases/1").want(200, "/cases/1")
	if _, err := active.Load().people.Suspend(t.Context(), people.Operator(), people.Who{ID: joe.ID}, "test"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return b.get("/cases/1", fetch).status == http.StatusUnauthorized })
}
