package caddymodule

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/caddymodule/command"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
)

// learn gives what is learned at a login page, and the block in writing.
func learn(t *testing.T, page string, who legacytest.Account) (*legacyform.Learned, string) {
	t.Helper()
	at, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	learned, err := (&legacyform.Learner{Page: at, Person: person(who), Transport: new(http.Transport)}).Learn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := learned.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), who.Password) {
		t.Errorf("the password is in what is printed:\n%s", &b)
	}
	t.Log(b.String())
	return learned, b.String()
}

func person(who legacytest.Account) legacyform.Person {
	return legacyform.Person{Username: who.Username, Password: account.Secret(who.Password)}
}

// learnedSite is a site with a learned block.
func learnedSite(block string) string {
	return "{{site}} {\n\tstepgate {\n\t\tenrolment self\n" + block + "\t\tpolicy {\n\t\t\tdefault signed_in\n\t\t}\n\t}\n\treverse_proxy {{upstream}}\n}\n"
}

func TestLearnedBlockSignsIn(t *testing.T) {
	for name, app := range map[string]*office{"usual": {}, "redirects": {turnsAway: true}, "hands out cookies": {hands: true}, "keeps the cookie": {keeps: true}, "shows a page": {shows: true}} {
		t.Run(name, func(t *testing.T) {
			direct := httptest.NewServer(app)
			defer direct.Close()
			learned, block := learn(t, direct.URL+"/login.php", legacytest.Account{Username: "joe", Password: officePasswords["joe"]})
			if name == "keeps the cookie" {
				// No page of it is linked that would say who is signed in.
				if learned.Works || len(learned.Open) == 0 {
					t.Error("it is not said that this would not do")
				}
				return
			}
			if !learned.Works {
				t.Fatal("it would not do")
			}
			g := startGateway(t, learnedSite(block), app)
			g.addUser("joe", ofSource("legacy_form"))
			b := g.browser()
			b.get("/login.php")
			b.atOffice("joe", "wrong")
			if b.signedIn() {
				t.Error("a wrong password is let in")
			}
			b.atOffice("joe", officePasswords["joe"])
			if !b.signedIn() {
				t.Error("a good password is not let in")
			}
		})
	}
}

func TestLearnedBlocksOfRealApplications(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six applications")
	}
	for name, start := range map[string]func() *legacytest.App{
		"dokuwiki":   func() *legacytest.App { return legacytest.StartDokuWiki(t, legacytest.Options{}) },
		"mediawiki":  func() *legacytest.App { return legacytest.StartMediaWiki(t, legacytest.Options{}) },
		"shaarli":    func() *legacytest.App { return legacytest.StartShaarli(t, legacytest.Options{}) },
		"wordpress":  func() *legacytest.App { return legacytest.StartWordPress(t, legacytest.Options{}) },
		"phpmyadmin": func() *legacytest.App { return legacytest.StartPHPMyAdmin(t, legacytest.Options{}) },
		"phpldapadmin": func() *legacytest.App {
			app, _ := legacytest.StartPHPLDAPAdmin(t, legacytest.Options{})
			return app
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := start()
			learned, _ := learn(t, app.URL+app.Login.Page, app.Accounts[len(app.Accounts)-1])
			if !learned.Works {
				t.Errorf("it would not do: %q", learned.Open)
			}
			if learned.Config.UsernameField != app.Login.UsernameField || learned.Config.PasswordField != app.Login.PasswordField {
				t.Errorf("the fields are %s and %s", learned.Config.UsernameField, learned.Config.PasswordField)
			}
			if (learned.Config.Identity == nil) != (name == "shaarli") {
				t.Errorf("identity %v", learned.Config.Identity)
			}
		})
	}
}

func TestLearnSaysWhatIsMissing(t *testing.T) {
	for name, page := range map[string]string{"no form": "Nothing here", "another host": `<form method="post" action="https://elsewhere.test/"><input name="u"><input type="password" name="p"></form>`} {
		t.Run(name, func(t *testing.T) {
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>" + page)) }))
			defer app.Close()
			at, _ := url.Parse(app.URL)
			if _, err := (&legacyform.Learner{Page: at, Person: legacyform.Person{Username: "joe"}, Transport: new(http.Transport)}).Learn(t.Context()); err == nil {
				t.Error("something was learned")
			}
		})
	}
	// An application whose answers are all alike.
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`<form method="post"><input name="u"><input type="password" name="p"></form>`))
	}))
	defer app.Close()
	learned, block := learn(t, app.URL+"/in", legacytest.Account{Username: "joe", Password: "x-Pass1"})
	if learned.Works || !strings.Contains(block, "# The answers to a good and to a bad password look alike") {
		t.Errorf("works: %v", learned.Works)
	}
}

func TestLearnCommandReadsThePasswordFromStandardInput(t *testing.T) {
	app := httptest.NewServer(&office{})
	defer app.Close()
	run := func(stdin string, args ...string) (string, error) {
		root := &cobra.Command{Use: "legacy"}
		command.Legacy(root)
		var out bytes.Buffer
		root.SetArgs(args)
		root.SetIn(strings.NewReader(stdin))
		root.SetOut(&out)
		root.SetErr(&out)
		err := root.ExecuteContext(context.Background())
		return out.String(), err
	}
	out, err := run(officePasswords["joe"]+"\n", "learn", app.URL+"/login.php", "--username", "joe", "--password-stdin")
	if err != nil || !strings.Contains(out, "submit POST /login.php") || strings.Contains(out, officePasswords["joe"]) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run("", "learn", "login.php", "--username", "joe"); err == nil {
		t.Errorf("no address, and yet\n%s", out)
	}
	if out, err := run("wrong\n", "learn", app.URL+"/login.php", "--username", "joe", "--password-stdin"); err == nil {
		t.Errorf("a wrong password, and yet\n%s", out)
	}
}
