package challenge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/signin"
)

// rigDirectory is a second source of passwords, which answers as it is told.
type rigDirectory struct {
	asked int
	err   error
	// changes lets people change their password, which is rigPassword until
	// changed says another.
	changes bool
	changed string
}

func (d *rigDirectory) ChangesPasswords() bool { return d.changes }

func (d *rigDirectory) ChangePassword(_ context.Context, who signin.Person, present, chosen account.Secret) error {
	switch {
	case string(present.Reveal()) != rigPassword:
		return signin.ErrRefused
	case string(chosen.Reveal()) == "unsuitable":
		return signin.ErrUnsuitable
	}
	d.changed, d.err = string(chosen.Reveal()), nil
	return nil
}

func (d *rigDirectory) Name() string { return "directory" }

func (d *rigDirectory) CheckPassword(_ context.Context, username string, password account.Secret) (signin.Identity, error) {
	d.asked++
	if d.changed != "" && string(password.Reveal()) == d.changed {
		return signin.Identity{Source: "local", Username: username}, nil
	}
	return signin.Identity{}, d.err
}

func TestASourceThatIsDownKeepsNobodyOfTheOthersOut(t *testing.T) {
	directory := &rigDirectory{err: errors.New("the directory is down")}
	k := newRig(t, func(k *rig) { k.Passwords = append([]signin.PasswordChecker{directory}, k.Passwords...) })
	k.person("joe")
	b := k.browser()
	if page := b.signIn(k.door(b, "/cases/1", "signed_in"), "joe"); page.to != "/cases/1" {
		t.Errorf("joe of the other source: %d to %q", page.status, page.to)
	}
	stranger := k.browser()
	for range 200 {
		page := stranger.send(stranger.open("/.stepgate/sign-in"), map[string]string{"username": "joe", "password": "wrong"})
		if page.status == http.StatusTooManyRequests {
			return
		}
		if page.status != http.StatusServiceUnavailable || stranger.visitor() != nil {
			t.Fatalf("a password that nobody could judge: %d", page.status)
		}
	}
	t.Error("200 guesses at the other source's account while one is down, and no end")
}

func TestTooManyPasswordsAtOnceComeBackSoon(t *testing.T) {
	crowded := &rigDirectory{err: fmt.Errorf("compare password: %w", password.ErrBusy)}
	k := newRig(t, func(k *rig) { k.Passwords = []signin.PasswordChecker{crowded} })
	k.person("joe")
	b := k.browser()
	page := b.open("/.stepgate/sign-in")
	page.fields.Set("username", "joe")
	page.fields.Set("password", rigPassword)
	w := httptest.NewRecorder()
	k.pages.ServeHTTP(w, b.Request(http.MethodPost, page.action, page.fields))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "2" || !strings.Contains(w.Body.String(), "try again in 2 seconds") {
		t.Errorf("%d, %v: %s", w.Code, w.Header(), w.Body)
	}
}

func TestWhyIsToldToWhoGaveTheRightPassword(t *testing.T) {
	directory := &rigDirectory{}
	k := newRig(t, func(k *rig) { k.Passwords = []signin.PasswordChecker{directory} })
	for reason, want := range map[signin.Reason]string{
		signin.PasswordExpired: "has expired", signin.PasswordMustChange: "has to be changed", signin.AccountDisabled: "switched off", signin.NotNow: "at this time", "": "not correct",
	} {
		directory.err = signin.ErrRefused
		if reason != "" {
			directory.err = &signin.Refusal{Reason: reason}
		}
		b := k.browser()
		page := b.send(b.open("/.stepgate/sign-in"), map[string]string{"username": "joe", "password": "x"})
		if page.status != http.StatusForbidden || !strings.Contains(page.text, want) {
			t.Errorf("%s: %d without %q", reason, page.status, want)
		}
	}
}

func TestAStalePasswordIsChangedOnTheWay(t *testing.T) {
	directory := &rigDirectory{changes: true, err: &signin.Refusal{Reason: signin.PasswordMustChange}}
	k := newRig(t, func(k *rig) { k.Passwords = []signin.PasswordChecker{directory} })
	k.person("joe")
	b := k.browser()
	page := b.send(b.open(k.door(b, "/cases/1?x=%2F", "signed_in")), map[string]string{"username": "joe", "password": rigPassword})
	if page.status != http.StatusOK || !strings.Contains(page.text, "has to be changed") || b.visitor() != nil {
		t.Fatalf("%d %q", page.status, page.text)
	}
	for _, row := range []struct {
		present, chosen, says string
		status                int
	}{
		{"", "another horse", "Enter your password", http.StatusBadRequest},
		{rigPassword, "", "Enter a new password", http.StatusBadRequest},
		{rigPassword, rigPassword, "is the present one", http.StatusBadRequest},
		{rigPassword, "unsuitable", "does not take this password", http.StatusBadRequest},
		{"wrong", "another horse", "not correct", http.StatusForbidden},
	} {
		again := b.send(page, map[string]string{"password": row.present, "new_password": row.chosen})
		if again.status != row.status || !strings.Contains(again.text, row.says) || b.visitor() != nil {
			t.Errorf("%+v: %d %q", row, again.status, again.text)
		}
	}
	other := k.browser()
	other.open("/.stepgate/sign-in")
	if stolen := other.send(page, map[string]string{"password": rigPassword, "new_password": "another horse"}); stolen.status < 400 || directory.changed != "" {
		t.Errorf("the form in another browser: %d, changed to %q", stolen.status, directory.changed)
	}
	home := b.send(page, map[string]string{"password": rigPassword, "new_password": "another horse"})
	if home.to != "/cases/1?x=%2F" || b.visitor() == nil || directory.changed != "another horse" {
		t.Fatalf("led to %q as %v", home.to, b.visitor())
	}
	if !slices.Contains(k.events(), audit.PasswordChange) {
		t.Errorf("the trail has %v", k.events())
	}
	if page := k.browser().open("/.stepgate/sign-in/new-password"); !strings.Contains(page.text, "Sign in") || strings.Contains(page.text, "Present password") {
		t.Errorf("the page by itself: %d %q", page.status, page.text)
	}
}

func TestTheDomainOfANameChoosesTheSource(t *testing.T) {
	council, county := &rigDirectory{err: signin.ErrRefused}, &rigDirectory{err: signin.ErrRefused}
	issuer := &rigIssuer{name: "partner"}
	k := newRig(t, func(k *rig) {
		k.Passwords = []signin.PasswordChecker{namedSource{council, "council"}, namedSource{county, "county"}}
		k.Redirectors = []signin.Redirector{issuer}
		k.Domains = map[string][]string{"council": {"council.gov"}, "partner": {"partner.gov", "partner.example"}}
	})
	b := k.browser()
	page := b.open(k.door(b, "/cases/1", "signed_in"))
	if !strings.Contains(page.text, "@partner.example, @partner.gov") || strings.Contains(page.text, "Sign in with partner") {
		t.Errorf("the page says %q", page.text)
	}
	for _, row := range []struct {
		name            string
		council, county int
		away            bool
	}{
		{"joe@council.gov", 1, 0, false}, {" JOE@Council.GOV ", 1, 0, false}, {"joe", 0, 1, false}, {"joe@elsewhere.gov", 0, 1, false},
		{"joe@sub.council.gov", 0, 1, false}, {"joe@partner.gov@council.gov", 1, 0, false}, {"joe\uff20council.gov", 1, 0, false},
		{"ann@partner.gov", 0, 0, true},
	} {
		council.asked, county.asked, issuer.last = 0, 0, signin.Departure{}
		b := k.browser()
		away := b.send(b.open("/.stepgate/sign-in"), map[string]string{"username": row.name, "password": "x"})
		if council.asked != row.council || county.asked != row.county || strings.HasPrefix(away.to, "https://issuer.example/") != row.away {
			t.Errorf("%q: council asked %d, county %d, sent to %q", row.name, council.asked, county.asked, away.to)
		}
		if row.away && issuer.last.Hint != row.name {
			t.Errorf("%q: the issuer is told %q", row.name, issuer.last.Hint)
		}
	}
	if away := b.send(page, map[string]string{"username": "ann@partner.gov", "password": ""}); !strings.HasPrefix(away.to, "https://issuer.example/") {
		t.Errorf("without a password: %d to %q", away.status, away.to)
	}
}

// namedSource is a source by another name.
type namedSource struct {
	*rigDirectory
	name string
}

func (n namedSource) Name() string { return n.name }

func TestADomainsPeopleAreAskedForTheirNameWhereNobodyHasAPassword(t *testing.T) {
	partner, other := &rigIssuer{name: "partner"}, &rigIssuer{name: "other"}
	k := newRig(t, func(k *rig) {
		k.Passwords, k.Redirectors = nil, []signin.Redirector{partner, other}
		k.Domains = map[string][]string{"partner": {"partner.gov"}}
	})
	k.person("ann")
	b := k.browser()
	page := b.open(k.door(b, "/cases/1", "signed_in"))
	if strings.Contains(page.text, "Password") || !strings.Contains(page.text, "Sign in with other") {
		t.Errorf("the page says %q", page.text)
	}
	if lost := b.send(page, map[string]string{"username": "ann"}); lost.status != http.StatusBadRequest || !strings.Contains(lost.text, "whole address") {
		t.Errorf("a name without a domain: %d %q", lost.status, lost.text)
	}
	b.send(page, map[string]string{"username": "ann@partner.gov"})
	if home := b.arrives(back(partner.last.Key, "ann")); home.to != "/cases/1" {
		t.Errorf("led to %q", home.to)
	}
}
