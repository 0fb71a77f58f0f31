package caddymodule

import (
	"fmt"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/legacytest"
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
		b.open(person + "/temporary-code")
		prove()
		see("temporary-code")
		b.fill("reason", "T-1").press(`main button[value="temporary-code"]`).says("once")
		see("temporary-code-shown")
		for _, name := range []string{"new", "import", "organisations", "organisation?name=default", "approvals", "trail", "messages"} {
			b.open(g.url + "/.stepgate/admin/" + name)
			see(fmt.Sprintf("%.12s", name))
		}
	}
}
