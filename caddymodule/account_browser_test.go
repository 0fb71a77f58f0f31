package caddymodule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/internal/store"
)

// judge has axe look at the page, where scripts run.
func (b *tab) judge(axe, name string) *tab {
	b.t.Helper()
	return b.judgePart(axe, name, "document")
}

// judgePart has axe look at what it is told of by an expression.
func (b *tab) judgePart(axe, name, part string) *tab {
	b.t.Helper()
	if !b.looks.scripts {
		return b
	}
	evaluate[bool](b, axe+`; window.judged = ""; axe.run(`+part+`, {resultTypes: ["violations"]}).then((r) => {
		window.judged = "judged\n" + r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target.join(" ")).join(", ")).join("\n");
	}); true`)
	var found string
	waitFor(b.t, func() bool {
		found = evaluate[string](b, `window.judged ?? ""`)
		return found != ""
	})
	if found != "judged\n" {
		b.t.Errorf("%s at %s: %s", name, b.looks, found)
	}
	return b
}

// holdsPhone gives somebody a phone for codes.
func (g *rig) holdsPhone(a account.Account, number string) {
	g.t.Helper()
	err := active.Load().store.Update(g.t.Context(), func(tx store.Tx) error {
		return tx.InsertCredential(g.t.Context(), account.Credential{
			ID: account.NewCredentialID(), Account: a.ID, Factor: "sms", Label: "Phone", Address: number, Default: true, CreatedAt: time.Now(),
		})
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// codeTo is the code that something sends to a number or an address, among
// whatever else goes there.
func (g *rig) codeTo(file, to string, send func()) string {
	g.t.Helper()
	codes := func() (all []string) {
		for _, m := range g.messages(file) {
			if code := sixDigits.FindString(m.Body); m.To == to && code != "" {
				all = append(all, code)
			}
		}
		return all
	}
	before := len(codes())
	send()
	waitFor(g.t, func() bool { return len(codes()) > before })
	all := codes()
	return all[len(all)-1]
}

// TestAPersonLooksAfterTheirAccountInABrowser walks through every page of an
// account. Each change is proved by a text
// message; five are what one number gets in a while.
func TestAPersonLooksAfterTheirAccountInABrowser(t *testing.T) {
	c := startChromium(t)
	axe := legacytest.Axe(t)
	site := strings.Replace(codesSite, "public            /public", `public            /public
			level program {
				accept token
			}
			require program   /dav/*
			require mfa       /cases/*
			default signed_in`, 1)
	g := startGateway(t, site, nil)
	for i, l := range newLooks {
		name := fmt.Sprint("joe", i)
		number := fmt.Sprintf("+44770090060%d", i)
		g.holdsPhone(g.addUser(name), number)
		b := c.profile(t, l).open(g.url + "/.stepgate/account").signIn(name)
		see := func(name string) { b.t.Helper(); b.shoot("account-"+name).judge(axe, name) }
		prove := func() {
			t.Helper()
			b.at("/challenge/sms")
			code := g.codeTo("texts.jsonl", number, func() { b.press(submitButton) })
			b.fill("code", code).press(submitButton)
		}
		b.at("/account").says("Your account")
		see("overview")
		b.press(`main a[href*="/account/rename"]`)
		b.says("You are about to rename a way to confirm it is you")
		prove()
		see("rename")
		b.fill("label", "Work phone").press(submitButton).at("/account").says("The name was changed").says("Work phone")
		b.press(`main a[href*="/account/remove"]`).says("You still need this")
		see("needed")
		b.open(g.url + "/.stepgate/account").press(`main a[href*="/account/two-factor"]`)
		prove()
		see("two-factor")
		b.open(g.url + "/.stepgate/account")
		b.press(`main a[href*="/account/password"]`)
		prove()
		see("password")
		b.fill("password", "wrong", "new_password", "short").press(submitButton).says("at least 8")
		see("password-wrong")
		b.fill("password", password1, "new_password", newPassword+" and more").press(submitButton).at("/account").says("Your password was changed").says("Your password is strong")
		see("password-changed")
		b.press(`main a[href*="/account/email"]`)
		prove()
		see("email")
		code := g.codeTo("mails.jsonl", name+"@example.org", func() { b.fill("email", name+"@example.org").press(submitButton).says("is on its way") })
		see("email-code")
		b.fill("code", code).press(submitButton).at("/account").says("Your e-mail address was changed").says(name + "@example.org")
		b.press(`main a[href*="/account/add"]`)
		see("add")
		b.open(g.url + "/.stepgate/account/tokens").press(`main a[href*="/account/tokens/new"]`)
		prove()
		see("token")
		b.fill("label", "Script", "paths", "/dav/*").press(submitButton).says("only time that it is shown")
		see("token-made")
		b.press("main a.button").says("Script")
		see("tokens")
		b.open(g.url + "/.stepgate/account/activity").says("This was not me")
		see("activity")
		b.press(`main .choices form button`).at("/account/not-me").says("Everybody else is signed out")
		see("not-me")
	}
}
