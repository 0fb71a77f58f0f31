package selfservice

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

func TestAnAddressIsChangedOnceItsCodeWasTyped(t *testing.T) {
	k := newRig(t, signedIn)
	jo := k.person("jo", policy.TOTP)
	b := k.browser(jo, policy.TOTP)
	k.proved["contact email"] = true
	if s := b.get("/email"); s.status != http.StatusOK || strings.Contains(s.text, "jo@example.test") {
		t.Errorf("%d:\n%s", s.status, s.text)
	}
	if s := b.post("/email", "action", "send", "email", "no address"); s.status != http.StatusBadRequest {
		t.Errorf("no address: %d", s.status)
	}
	b.post("/email", "action", "send", "email", "jo@example.org")
	if len(k.mail.sent) != 1 || k.mail.sent[0].To != "jo@example.org" {
		t.Fatalf("%d codes", len(k.mail.sent))
	}
	if s := b.post("/email", "action", "verify", "code", "000000"); s.status != http.StatusBadRequest || k.account(jo.ID).Email != jo.Email {
		t.Errorf("a wrong code: %d", s.status)
	}
	code := regexp.MustCompile(`\b\d{6}\b`).FindString(k.mail.sent[0].Body)
	if s := b.post("/email", "action", "verify", "code", code); s.to != "/.stepgate/account?done=email" {
		t.Fatalf("%d to %q\n%s", s.status, s.to, s.text)
	}
	if told := k.posted(); k.account(jo.ID).Email != "jo@example.org" || !strings.Contains(told, "email jo@example.org ") || !strings.Contains(told, "email jo@example.test ") {
		t.Errorf("%s, told %q", k.account(jo.ID).Email, told)
	}
}

func TestAPasswordWithoutASecondFactorNeedsThePresentOne(t *testing.T) {
	k := newRig(t, signedIn)
	jo := k.person("jo")
	b := k.browser(jo)
	k.browser(jo)
	for fields, status := range map[string]int{"wrong one|another good one": http.StatusForbidden, rigPassword + "|short": http.StatusBadRequest} {
		present, chosen, _ := strings.Cut(fields, "|")
		if s := b.post("/password", "password", present, "new_password", chosen); s.status != status {
			t.Errorf("%s: %d", fields, s.status)
		}
	}
	if s := b.post("/password", "password", rigPassword, "new_password", "another good one"); !strings.HasPrefix(s.to, "/.stepgate/account?done=password") {
		t.Errorf("%d to %q", s.status, s.to)
	}
	if all, _ := k.db.SessionsOf(t.Context(), jo.ID, k.clock()); len(all) != 1 || all[0].ID != b.entry.Session.ID {
		t.Errorf("%d sessions", len(all))
	}
}

// directory keeps the passwords of its people, and takes none that is short.
type directory struct{ password string }

func (d *directory) Changes(owner account.Account) bool { return owner.Source == "ldap" }

func (d *directory) Compare(_ context.Context, _ account.Account, p account.Secret) (bool, error) {
	return string(p.Reveal()) == d.password, nil
}

func (d *directory) Change(_ context.Context, _ account.Account, present, chosen account.Secret) (bool, error) {
	if string(present.Reveal()) != d.password {
		return false, errors.New("changed without the present password")
	}
	if len(chosen) < 12 {
		return false, nil
	}
	d.password = string(chosen.Reveal())
	return true, nil
}

func TestAPasswordIsChangedWhereItIsKept(t *testing.T) {
	k := newRig(t, signedIn)
	d := &directory{password: "theirs at work"}
	k.Elsewhere = d
	jo := k.person("jo")
	jo.Source, jo.ID, jo.Subject, jo.Username = "ldap", "jo of the directory", "entry 1", "jo2"
	k.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertAccount(ctx, jo) })
	b := k.browser(jo)
	k.browser(jo)
	if s := b.get(""); !strings.Contains(s.text, "/account/password") || !strings.Contains(s.text, "Kept by your organisation") {
		t.Errorf("the account page has no way to it: %s", s.text)
	}
	for fields, status := range map[string]int{
		"wrong one|another good one": http.StatusForbidden, "theirs at work|": http.StatusBadRequest, "theirs at work|short": http.StatusBadRequest,
	} {
		present, chosen, _ := strings.Cut(fields, "|")
		if s := b.post("/password", "password", present, "new_password", chosen); s.status != status || d.password != "theirs at work" {
			t.Errorf("%s: %d, %s", fields, s.status, s.text)
		}
	}
	if s := b.post("/password", "password", "theirs at work", "new_password", "another good one"); s.to != "/.stepgate/account?done=password" || d.password != "another good one" {
		t.Errorf("%d to %q", s.status, s.to)
	}
	if all, _ := k.db.SessionsOf(t.Context(), jo.ID, k.clock()); len(all) != 1 || all[0].ID != b.entry.Session.ID {
		t.Errorf("%d sessions", len(all))
	}
	if told := k.posted(); !strings.Contains(told, "email jo@example.test ") {
		t.Errorf("told %q", told)
	}
}

func TestTwoFactorIsNobodysChoiceWhereItIsEnforced(t *testing.T) {
	k := newRig(t, mfaEverywhere)
	b := k.browser(k.person("jo", policy.TOTP), policy.TOTP)
	k.proved["two-factor on"] = true
	if s := b.post("/two-factor"); s.status != http.StatusConflict {
		t.Errorf("%d", s.status)
	}
	if s := b.get(""); strings.Contains(s.text, "/account/two-factor") {
		t.Error("the page offers it")
	}
	k = newRig(t, signedIn)
	b = k.browser(k.person("jo"))
	if s := b.get("/two-factor"); s.status != http.StatusOK || !strings.Contains(s.text, "/enrol/totp?c=") {
		t.Errorf("who holds nothing: %d\n%s", s.status, s.text)
	}
}

func TestATokenIsShownOnceAndBoundAsAskedFor(t *testing.T) {
	k := newRig(t, withTokens)
	jo := k.person("jo", policy.TOTP)
	b := k.browser(jo, policy.TOTP)
	k.proved["new-token"] = true
	for _, wrong := range [][]string{{"label", "", "paths", "/x"}, {"label", "a", "paths", "x"}, {"label", "a", "paths", ""}, {"label", "a", "paths", "/x?y=z"}, {"label", "a", "paths", "/x", "addresses", "home"}} {
		if s := b.post("/tokens/new", wrong...); s.status != http.StatusBadRequest {
			t.Errorf("%v: %d", wrong, s.status)
		}
	}
	s := b.post("/tokens/new", "label", "Script", "paths", "/dav/* /git/*", "days", "30", "methods", "read", "addresses", "192.0.2.0/24")
	secret := regexp.MustCompile(`data-stepgate="token">(sgt_[A-Z2-7]{26})<`).FindStringSubmatch(s.text)
	if secret == nil {
		t.Fatalf("%d:\n%s", s.status, s.text)
	}
	list := b.get("/tokens")
	for _, want := range []string{"Script", "/dav/* /git/*", "GET OPTIONS PROPFIND REPORT SEARCH", "192.0.2.0/24", "3 April 2026", "never used"} {
		if !strings.Contains(list.text, want) {
			t.Errorf("the list lacks %q:\n%s", want, list.text)
		}
	}
	if strings.Contains(list.text, secret[1]) {
		t.Error("the list shows the token")
	}
	var id account.CredentialID
	held, _ := k.db.Credentials(t.Context(), jo.ID)
	for _, c := range held {
		if isToken(c) {
			id = c.ID
		}
		if strings.Contains(string(c.Secret.Reveal())+c.Handle, secret[1]) {
			t.Error("the store has the token")
		}
	}
	k.proved["revoke-token "+string(id)] = true
	if s := b.post("/tokens/revoke?credential=" + string(id)); s.to != "/.stepgate/account?done=revoked" || strings.Contains(k.credentials(jo), string(id)) {
		t.Errorf("%d to %q", s.status, s.to)
	}
}

// TestTheCodeForTheHelpdeskIsForWhoHasProvedWhatTheyHold shows it to nobody who
// only knows the password of somebody with a second factor.
func TestTheCodeForTheHelpdeskIsForWhoHasProvedWhatTheyHold(t *testing.T) {
	k := newRig(t, signedIn)
	k.Self.People.Callers = &people.Callers{MAC: func(string, ...[]byte) []byte { return make([]byte, 32) }}
	jo, eve := k.person("jo", policy.TOTP), k.person("eve")
	for name, c := range map[string]struct {
		b    *browser
		want bool
	}{"a password alone": {k.browser(jo), false}, "with the app": {k.browser(jo, policy.TOTP), true}, "who holds nothing": {k.browser(eve), true}} {
		if s := c.b.get(""); strings.Contains(s.text, `data-stepgate="caller-code"`) != c.want {
			t.Errorf("%s: %d\n%s", name, s.status, s.text)
		}
	}
}
