package caddymodule

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/policy"
)

// TestAdministratorsPagesInABrowser walks through the pages of administrators
// as an owner meets them.
func TestAdministratorsPagesInABrowser(t *testing.T) {
	c := startChromium(t)
	axe := legacytest.Axe(t)
	g := startGateway(t, adminSite, nil)
	joe := g.addUser("joe", mobile("+447700900609"))
	person := g.url + "/.stepgate/admin/person/" + string(joe.ID)
	for i, l := range newLooks {
		boss := fmt.Sprint("boss", i)
		g.addUser(boss, role(account.RoleOwner))
		b := c.profile(t, l).open(g.url + "/.stepgate/admin/?q=jo").signIn(boss).chooseApp().readSecret()
		b.fill("code", b.code()).press(`main button[value="verify"]`).keepCodes()
		see := func(name string) { b.t.Helper(); b.shoot("admin-"+name).judge(axe, name) }
		prove := func() {
			t.Helper()
			b.at("/challenge/totp").says("change somebody").fill("code", b.code()).press(submitButton)
		}
		b.at("/admin/").says("joe")
		see("search")
		b.press(`main a[href*="/admin/person/` + string(joe.ID) + `"]`).says("Bloggs").says("Only the user can set this up")
		see("person")
		b.open(person + "/edit")
		see("edit")
		b.fill("surname", "Bloggs"+boss).press(submitButton).says("Bloggs" + boss)
		// One of both, for a code of the app is good once.
		if i == 1 {
			b.open(person + "/temporary-code")
			prove()
			see("temporary-code")
			b.fill("reason", "T-1").press(`main button[value="temporary-code"]`).says("once")
			see("temporary-code-shown")
		} else {
			b.open(person + "/token")
			prove()
			see("token")
			b.fill("label", "Nightly backup of "+boss, "paths", "/dav/*").press(`main button[value="token"]`).says("sgt_")
			see("token-shown")
			b.open(person).says("Nightly backup of " + boss)
			see("person-tokens")
		}
		for _, name := range []string{"new", "import", "organisations", "organisation?name=default", "approvals", "trail", "messages"} {
			b.open(g.url + "/.stepgate/admin/" + name)
			see(fmt.Sprintf("%.12s", name))
		}
	}
}

// TestAKeyIsHandedOverInARealBrowser registers a key in the administrator's own
// machine for somebody who holds nothing, and lets them use it.
func TestAKeyIsHandedOverInARealBrowser(t *testing.T) {
	axe := legacytest.Axe(t)
	g := startGateway(t, adminSite, nil)
	joe := g.addUser("joe")
	g.addUser("boss", role(account.RoleOwner))
	w := g.window(t)
	w.open(g.url + "/.stepgate/admin/person/" + string(joe.ID)).signIn("boss").chooseApp().readSecret()
	w.fill("code", w.code()).press(`main button[value="verify"]`).keepCodes()
	w.says("You can register one").press(`main a[href*="/key"]`)
	w.tab.at("/challenge/totp").says("change somebody").fill("code", w.code()).press(submitButton)
	w.says("Hand it over to them in person").shoot("admin-key").judge(axe, "key")
	w.touched(false)
	w.fill("label", "Blue key", "reason", "T-7")
	w.press("[data-key-start]")
	if held := g.held(joe, policy.WebAuthn); len(held) != 0 {
		t.Fatalf("before the key was touched: %+v", held)
	}
	w.touch(`document.body.innerText.includes("The key is registered. Hand it over")`)
	w.says("Blue key").shoot("admin-key-registered").judge(axe, "key-registered")
	held := g.held(joe, policy.WebAuthn)
	if len(held) != 1 || held[0].Label != "Blue key" || !held[0].CountsFrom.IsZero() {
		t.Fatalf("joe holds %+v", held)
	}
	waitFor(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(g.dir, "mails.jsonl"))
		return strings.Contains(string(text), "was added to your account: Blue key")
	})

	// Untouched, it does not sign joe in by itself.
	w.forget()
	w.touched(false)
	w.open(w.base + "/cases/1")
	w.signIn("joe")
	w.at("/.stepgate/challenge/webauthn")
	w.touched(true)
	w.press("[data-key-start]")
	w.at("/cases/1")
	if used := g.held(joe, policy.WebAuthn); used[0].LastUsedAt.IsZero() {
		t.Errorf("the key was not used: %+v", used)
	}
}
