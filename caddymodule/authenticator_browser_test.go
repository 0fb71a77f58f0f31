package caddymodule

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/stepgate/stepgate/internal/legacytest"
)

const phoneSite = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
		email file mails.jsonl
		authenticator {{app}}
	}
}
{{site}} {
	stepgate {
		pages {
			name "The Portal"
			language en cy
		}
		policy {
			level own_phone {
				accept approval
				once
			}
			require mfa /cases/*
			require own_phone POST /pay
			default signed_in
		}
	}
	reverse_proxy {{upstream}}
}
{{app}} {
	stepgate_authenticator {
		name "The Portal's authenticator"
	}
}
`

// startPhones runs a gateway with the app on a host of its own, and gives that
// host's origin.
func startPhones(t *testing.T) (*rig, string) {
	t.Helper()
	app := "http://" + freeAddress(t)
	return startGateway(t, strings.ReplaceAll(phoneSite, "{{app}}", app), nil), app
}

const phonePIN = "593827"

// phone is the app on somebody's phone.
type phone struct{ *window }

// newPhone opens the app as a phone of its own: its size, and touch.
func (c *chromium) newPhone(t *testing.T, app string, dark bool) phone {
	t.Helper()
	p := phone{&window{tab: c.profile(t, looks{width: 390, scripts: true, dark: dark}), base: app}}
	p.handheld()
	p.open(app)
	return p
}

// handheld makes a tab one of a phone.
func (p phone) handheld() {
	p.t.Helper()
	call(p.tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 2, Mobile: true})
	call(p.tab, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true})
}

// judge has axe look at the screen that is there now.
func (p phone) judge(axe, name string) {
	p.t.Helper()
	see[bool](p.window, `delete window.judged`)
	p.tab.judge(axe, name)
}

// tap clicks a button by its words, once it is there.
func (p phone) tap(words string) {
	p.t.Helper()
	find := `[...document.querySelectorAll("button")].find((b) => b.textContent.trim() === ` + inJS(words) + `)`
	p.await(find + ` !== undefined`)
	see[bool](p.window, `(`+find+`.click(), true)`)
}

// shows waits for words on the screen.
func (p phone) shows(words string) {
	p.t.Helper()
	p.await(`document.body.innerText.includes(` + inJS(words) + `)`)
}

// types fills fields of the screen by their names, as a person does.
func (p phone) types(fields ...string) {
	p.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		p.await(`document.querySelector("main [name=` + fields[i] + `]") !== null`)
		p.fill(fields[i], fields[i+1])
	}
}

// start chooses the PIN of a new phone.
func (p phone) start(pin string) {
	p.t.Helper()
	p.types("pin", pin, "again", pin)
	p.tap("Set up")
}

func inJS(text string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`", "$", "\\$").Replace(text) + "`"
}

// pair opens a pairing's link on the phone and offers its key. It gives the
// number that the phone shows.
func (p phone) pair(link, name string) string {
	p.t.Helper()
	p.open(link)
	return p.offers(name)
}

func (p phone) offers(name string) string {
	p.t.Helper()
	p.types("phone", name)
	p.tap("Pair")
	p.await(`document.querySelector("#check span") !== null`)
	return see[string](p.window, `document.querySelector("#check span").textContent`)
}

// seated is a person at the portal's own pages.
func seated(t *testing.T, c *chromium, g *rig) *window {
	t.Helper()
	return &window{tab: c.profile(t, looks{width: 1280, scripts: true}), base: g.url}
}

const (
	linkMark   = `document.querySelector("[data-stepgate=approval-link]")`
	numberMark = `document.querySelector("[data-stepgate=approval-number] [aria-hidden]")`
)

// pairs walks through a first enrolment with a phone.
func (w *window) pairs(name string, p phone) {
	w.t.Helper()
	w.open(w.base + "/cases/1")
	w.signIn(name)
	w.press(`a[href*="/enrol/approval"]`)
	w.await(linkMark + ` !== null`)
	check := p.pair(see[string](w, linkMark+`.href`), "Joe's phone")
	w.await(numberMark + ` !== null`)
	if got := see[string](w, numberMark+`.textContent`); got != check {
		w.t.Fatalf("the phone shows %s and the page %s", check, got)
	}
	w.press(submitButton)
	p.shows("Paired with The Portal")
}

// asks signs in where a phone is asked for, and gives the number shown.
func (w *window) asks(name string) string {
	w.t.Helper()
	w.open(w.base + "/cases/2?q=1")
	w.signIn(name)
	return w.number()
}

func (w *window) number() string {
	w.t.Helper()
	w.await(numberMark + ` !== null`)
	return see[string](w, numberMark+`.textContent`)
}

// looks opens the request that waits.
func (p phone) look() {
	p.t.Helper()
	p.await(`document.querySelector("[data-tab=approvals]") !== null`)
	see[bool](p.window, `(document.querySelector("[data-tab=approvals]").click(), true)`)
	p.tap("Look")
	p.shows("Is this you?")
}

func TestAPhoneApprovesWhatItShows(t *testing.T) {
	axe := legacytest.Axe(t)
	g, app := startPhones(t)
	g.addUser("joe")
	c := startChromium(t)
	w, p := seated(t, c, g), c.newPhone(t, app, false)
	p.shows("Choose a PIN")
	p.judge(axe, "phone-start")
	p.shoot("phone-start")
	p.start(phonePIN)
	p.shows("No codes yet")
	w.pairs("joe", p)
	p.judge(axe, "phone-paired")
	p.shoot("phone-paired")

	other := seated(t, c, g)
	number := other.asks("joe")
	other.judge(axe, "approval")
	other.shoot("approval")
	p.look()
	p.shows("Joe Bloggs (joe)")
	p.shows("The Portal")
	p.judge(axe, "phone-ask")
	p.shoot("phone-ask")
	p.types("number", number, "pin", phonePIN)
	tapped := time.Now()
	p.tap("Approve")
	other.awaitURL("/cases/2")
	t.Logf("from the tap to the page: %s, two runs of PBKDF2 on the phone among it", time.Since(tapped).Round(time.Millisecond))
	p.shows("Approved. Go back to the browser.")

	// The phone's own unlock opens the app and approves, beside the PIN.
	p.hasUnlock()
	see[bool](p.window, `(document.querySelector("[data-tab=settings]").click(), true)`)
	p.types("pin", phonePIN)
	p.judge(axe, "phone-settings")
	p.shoot("phone-settings")
	p.tap("Unlock with this phone")
	p.shows("This phone's unlock opens the app.")

	// From here on no event comes through: the open app asks by itself.
	see[bool](p.window, `((real) => {
		globalThis.fetch = (path, how) => path === "/api/events" ? new Promise((_, no) => how.signal.addEventListener("abort", () => no(how.signal.reason))) : real(path, how);
		return true;
	})(globalThis.fetch)`)
	p.tap("Lock")
	p.tap("Use this phone's unlock")
	p.shows("No codes yet")
	third := seated(t, c, g)
	number = third.asks("joe")
	p.look()
	p.types("number", number)
	p.tap("Approve with this phone's unlock")
	third.awaitURL("/cases/2")
}

// hasUnlock gives the phone a fingerprint reader, or the like, with a PRF.
func (p phone) hasUnlock() {
	p.t.Helper()
	call(p.tab, webauthn.Enable, webauthn.EnableParams{})
	_, err := chromedp.Call(p.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true, HasPrf: true,
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
}
