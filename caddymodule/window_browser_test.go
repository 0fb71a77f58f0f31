package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// window is a tab of a real browser with an authenticator in it.
type window struct {
	*tab
	base string
	key  webauthn.AuthenticatorID
}

// window opens one at the gateway.
func (g *rig) window(t *testing.T) *window {
	t.Helper()
	w := &window{tab: startChromium(t).profile(t, looks{width: 1280, scripts: true}), base: g.url}
	call(w.tab, webauthn.Enable, webauthn.EnableParams{})
	w.plugIn(webauthn.AuthenticatorTransportInternal)
	return w
}

// plugIn gives the window one more authenticator, which knows nobody yet. The
// browser takes one of a transport.
func (w *window) plugIn(transport webauthn.AuthenticatorTransport) {
	w.t.Helper()
	got, err := chromedp.Call(w.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21,
			Transport: transport, HasResidentKey: true, HasUserVerification: true,
			IsUserVerified: true, AutomaticPresenceSimulation: true,
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.key = got.AuthenticatorID
}

// verifies says whether the authenticator verifies the person from now on.
func (w *window) verifies(yes bool) {
	w.t.Helper()
	call(w.tab, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: w.key, IsUserVerified: yes})
}

// remove takes the authenticator away.
func (w *window) remove() {
	w.t.Helper()
	call(w.tab, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: w.key})
}

// touched says whether the authenticator is touched whenever it asks.
func (w *window) touched(yes bool) {
	w.t.Helper()
	call(w.tab, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: w.key, Enabled: yes})
}

// touch has the authenticator touched until something has come of it. What
// asked it while nobody touched it goes on waiting, so that the page asks again.
func (w *window) touch(done string) {
	w.t.Helper()
	w.touched(true)
	for range 12 {
		ctx, cancel := context.WithTimeout(w.ctx, patience/12)
		for ctx.Err() == nil {
			if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](done)); err == nil && ok {
				cancel()
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		cancel()
		see[bool](w, `(document.querySelector("input[name=credential]")?.value === "" && document.querySelector("[data-key-start]").click(), true)`)
	}
	w.t.Fatalf("%s: never", done)
}

// see evaluates an expression in the page; a promise is waited for.
func see[T any](w *window, expression string) T {
	w.t.Helper()
	v, err := insist(w.tab, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// await waits until an expression holds in whatever page is there then.
func (w *window) await(expression string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err == nil && ok {
			return
		}
		if ctx.Err() != nil {
			w.t.Fatalf("%s: never at %s:\n%s", expression, see[string](w, "location.href"), see[string](w, "document.body.innerText"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// at waits until the window stands at a path.
func (w *window) at(path string) {
	w.t.Helper()
	w.await(fmt.Sprintf("location.pathname === %q && document.readyState === 'complete'", path))
}

// press clicks the first element of a selector once it is there and shown.
func (w *window) press(selector string) {
	w.t.Helper()
	w.await(fmt.Sprintf("!!document.querySelector(%q)?.offsetParent", selector))
	see[bool](w, fmt.Sprintf("(setTimeout(() => document.querySelector(%q).click()), true)", selector))
}

// signIn answers the sign-in page with name and password.
func (w *window) signIn(name string) {
	w.t.Helper()
	w.at("/.stepgate/sign-in")
	w.tab.signIn(name)
}

// forget takes every cookie away: a new visitor with the same authenticator.
func (w *window) forget() {
	w.t.Helper()
	call(w.tab, network.ClearBrowserCookies, cdp.Empty{})
}

// fits takes pictures of the page on a large screen and on a small one.
func (w *window) fits(name string) {
	w.t.Helper()
	for _, width := range []int64{1280, 360} {
		w.looks.width = width
		w.do(chromedp.EmulateViewport(width, 800))
		w.shoot(name)
	}
}

// answer lets the authenticator answer the ceremony of a page that somebody
// else has open: what a program between the two could have.
func (w *window) answer(p *page) string {
	w.t.Helper()
	options := ""
	for _, form := range elements(p.document, "form") {
		if key := attribute(form, "data-key"); key != "" {
			options = key
		}
	}
	if options == "" {
		w.t.Fatalf("no ceremony at %s:\n%s", p.url, p.body)
	}
	var o struct {
		Kind      string          `json:"kind"`
		PublicKey json.RawMessage `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		w.t.Fatal(err)
	}
	read := "Request"
	if o.Kind == "create" {
		read = "Creation"
	}
	return see[string](w, fmt.Sprintf(
		`navigator.credentials.%s({publicKey: PublicKeyCredential.parse%sOptionsFromJSON(%s)}).then((c) => JSON.stringify(c.toJSON()), (e) => "! " + e.name)`,
		o.Kind, read, o.PublicKey))
}

// touch sends the answer of a key by the form of a page.
func (b *browser) touch(p *page, answer string) *page {
	b.t.Helper()
	return b.submit(p, "credential", map[string]string{"credential": answer})
}

// openSite stands at a page of the app, where no script of ours runs.
func (w *window) openSite() { w.open(w.base + "/assets/blank") }
