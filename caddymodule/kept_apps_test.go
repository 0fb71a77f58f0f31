package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/legacytest"
)

func TestKeepRequestsReadsSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"10MiB": 10 << 20, "512KiB": 512 << 10, "2MB": 2e6, "1kb": 1000, "1GiB": 1 << 30, "4096": 4096, "7B": 7, "1.5MiB": 3 << 19, "10 mib": 10 << 20, "off": -1,
		"0": 0, "-1": 0, "1GiB1": 0, "2GiB": 0, "": 0, "many": 0, "MiB": 0, "1iB": 0, "99999999999999999999": 0, "9999999999GiB": 0,
	} {
		var got int64
		d := caddyfile.NewTestDispenser("keep_requests \"" + text + "\"")
		d.Next()
		err := keepRequests(&got)(d)
		if want == 0 {
			if err == nil || text != "" && !strings.Contains(err.Error(), "such as 10MiB, or off") {
				t.Errorf("%q: %d, %v", text, got, err)
			}
		} else if err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestAWikiPageIsSavedAfterAChallenge(t *testing.T) {
	if testing.Short() {
		t.Skip("starts DokuWiki")
	}
	app := legacytest.StartDokuWiki(t, legacytest.Options{})
	g := startGateway(t, `{{site}} {
	stepgate {
		policy {
			level fresh_code {
				accept totp
				max_age 10m
			}
			require signed_in  /*
			require fresh_code /doku.php?do[save]=*
		}
	}
	reverse_proxy `+app.Addr+`
}
`, nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/doku.php?id=cases:1001"), "joe")
	if _, _, err := app.Login.SignIn(t.Context(), &http.Client{Jar: b.jar}, g.url, app.Accounts[1]); err != nil {
		t.Fatal(err)
	}
	p := b.get("/doku.php?id=cases:1001&do=edit")
	action, form := p.form("sectok")
	if form == nil {
		t.Fatalf("no form to edit the page at %s (%d):\n%s", p.url, p.status, p.body)
	}
	form.Set("wikitext", "====== Case 1001 ======\nHeard & settled: \"1 < 2\" – Zürich.\n")
	form.Set("do[save]", "Save")
	if p = b.do("POST", action, form); p.url.Path == "/.stepgate/enrol/totp" {
		p = b.enrol(p)
	}
	b.submit(p.offered(), kept.Field, nil)
	if now := b.get("/doku.php?id=cases:1001"); !strings.Contains(now.body, "Heard &amp; settled") || !strings.Contains(now.body, "Zürich") {
		t.Errorf("the page was not saved:\n%s", now.body)
	}
}

func TestTheDemosPaymentIsMadeAfterAChallenge(t *testing.T) {
	d := startDemo(t, "")
	b := d.browser()
	signIn := func() {
		b.submit(b.get("/").at("/sign-in"), "username", map[string]string{"username": "joe", "password": d.passwords()["joe"]}).want(200, "/")
	}
	signIn()
	form := b.enrol(b.get(b.get("/payments/new").at("/enrol").link("/enrol/totp")).at("/enrol/totp")).want(200, "/payments/new")
	b.submit(b.get("/.stepgate/sign-out"), "csrf_token", nil)
	signIn()
	// The portal's own token is bound to a cookie of its own, which is there
	// still.
	p := b.submit(form, "payee", map[string]string{"case": "1001", "payee": "Kettle & Sons", "amount": "120.50"})
	p = b.submit(b.confirm(p).offered(), kept.Field, nil).want(200, "/payments")
	if strings.Count(p.body, "Kettle &amp; Sons") != 1 {
		t.Errorf("the payment is not listed once:\n%s", p.body)
	}
}
