package caddymodule

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

const adminSite = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
		sms file texts.jsonl
		email file mails.jsonl
		codes {
			sms_per_month 1000
			sms_price "0.04 GBP"
		}
	}
}
{{site}} {
	stepgate {
		admin_pages
		policy {
			public /public
		}
		pages {
			language en cy
			help "Call 0300 000 0000"
		}
	}
	reverse_proxy {{upstream}}
}
`

func role(r account.Role) func(*people.NewAccount) {
	return func(n *people.NewAccount) { n.Role = r }
}

func TestAnOwnerFindsSomebodyAndResetsTheirFactors(t *testing.T) {
	g := startGateway(t, adminSite, nil)
	g.addUser("boss", role(account.RoleOwner))
	joe := g.addUser("joe", mobile("+447700900609"))
	b := g.browser()
	p := b.signIn(b.get("/.stepgate/admin/?q=joe"), "boss").atEnrolment()
	p = b.enrol(p).want(200, "/.stepgate/admin/?q=joe")
	p = b.choose(p, "/admin/person/"+string(joe.ID)).want(200, "")
	if !strings.Contains(p.body, "Joe") || !strings.Contains(p.body, "Bloggs") {
		t.Errorf("the person's page:\n%s", p.body)
	}
	p = b.choose(p, "/admin/person/"+string(joe.ID)+"/reset-factors").at("/challenge/totp")
	if !strings.Contains(p.body, "change somebody") {
		t.Errorf("the proof does not say what it is for:\n%s", p.body)
	}
	p = b.submit(p, "code", map[string]string{"code": b.code()}).at("/admin/person/" + string(joe.ID) + "/reset-factors")
	p = b.submit(p, "reason", map[string]string{"reason": "T-1", "action": "reset-factors"}).at("/admin/person/" + string(joe.ID))
	if !strings.Contains(p.body, "factors were reset") {
		t.Errorf("after the reset:\n%s", p.body)
	}
	if p := b.get("/.stepgate/admin/messages"); !strings.Contains(p.body, "1000 of 1000") || !strings.Contains(p.body, "0.00 GBP") {
		t.Errorf("messages: %d\n%s", p.status, p.body)
	}
	g.countsWhatItTells(b, joe)
	if p := b.get("/.stepgate/admin/trail?event=factor_reset"); !strings.Contains(p.body, "factor_reset") {
		t.Errorf("the trail: %d\n%s", p.status, p.body)
	}
	if p := b.get("/.stepgate/admin/?q=joe", fetch); p.status != http.StatusForbidden || strings.Contains(p.body, "joe") {
		t.Errorf("a script reads the page: %d", p.status)
	}
	g.load(strings.Replace(adminSite, "\t\tadmin_pages\n", "", 1))
	b.get("/.stepgate/admin/").want(http.StatusNotFound, "")
}

// countsWhatItTells has the page of messages count those that are no codes: the
// mails that have gone out, and a text.
func (g *rig) countsWhatItTells(b *browser, to account.Account) {
	g.t.Helper()
	told := delivery.Message{Channel: delivery.SMS, To: to.Mobile, Account: string(to.ID), Body: "Something has changed."}
	if err := active.Load().outbox.Post(g.t.Context(), told); err != nil {
		g.t.Fatal(err)
	}
	waitFor(g.t, func() bool {
		mails, err := os.ReadFile(filepath.Join(g.dir, "mails.jsonl"))
		n := bytes.Count(mails, []byte("\n"))
		body := b.get("/.stepgate/admin/messages").body
		return err == nil && n > 0 && strings.Contains(body, fmt.Sprintf("Sent: %d", n)) &&
			strings.Contains(body, "999 of 1000") && strings.Contains(body, "0.04 GBP")
	})
}

func TestACallersCodeIsInTheLanguagesOfTheSite(t *testing.T) {
	startGateway(t, adminSite, nil)
	m := gateOnly(t).app.callerMessage("123 456")
	for _, words := range []string{"Read this code out to them: 123 456", "Darllenwch y cod hwn iddynt: 123 456"} {
		if !strings.Contains(m.Body, words) {
			t.Errorf("%q is not in %q", words, m.Body)
		}
	}
}
