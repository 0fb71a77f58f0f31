package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
)

// looks are how a person sees a page.
type looks struct {
	width   int64
	scripts bool
	dark    bool
}

func (l looks) String() string {
	name := fmt.Sprint(l.width)
	if !l.scripts {
		name += "-no-script"
	}
	if l.dark {
		name += "-dark"
	}
	return name
}

// tab is one tab of one profile.
type tab struct {
	t     *testing.T
	ctx   context.Context
	looks looks
	shots string
	// secret is the TOTP secret, once one was shown; used the last step.
	secret string
	used   time.Time
}

// profile opens a tab of a new profile.
func (c *chromium) profile(t *testing.T, l looks) *tab {
	t.Helper()
	return openTab(t, c.ctx, c.shots, l, chromedp.WithNewBrowserContext())
}

// first opens a tab of the profile that is kept in the folder.
func (c *chromium) first(t *testing.T, l looks) *tab {
	t.Helper()
	b := &tab{t: t, ctx: c.ctx, looks: l, shots: c.shots}
	if err := chromedp.Do(c.ctx, chromedp.EmulateViewport(l.width, 800)); err != nil {
		t.Fatal(err)
	}
	b.hearLoads()
	return b
}

// another opens a second tab of the same profile.
func (b *tab) another() *tab {
	b.t.Helper()
	return openTab(b.t, b.ctx, b.shots, b.looks, chromedp.WithExistingBrowserContext(chromedp.FromContext(b.ctx).BrowserContextID))
}

func openTab(t *testing.T, parent context.Context, shots string, l looks, option chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, option)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(l.width, 800)); err != nil {
		t.Fatal(err)
	}
	b := &tab{t: t, ctx: ctx, looks: l, shots: shots}
	if l.dark {
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	}
	if !l.scripts {
		call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	}
	b.hearLoads()
	return b
}

// takeOver is a tab that the browser has opened by itself. Between two of its
// pages nobody can begin with it.
func takeOver(t *testing.T, parent context.Context, id target.ID, shots string, l looks) *tab {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := chromedp.NewContext(parent, chromedp.WithTargetID(id))
		t.Cleanup(cancel)
		err := chromedp.Do(ctx)
		if err == nil {
			return &tab{t: t, ctx: ctx, looks: l, shots: shots}
		}
		if !passing(err) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// do runs steps, and gives up after a while.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, step := range steps {
		if _, err := insist(b, step); err != nil {
			b.t.Fatalf("at %s: %v", b.url(), err)
		}
	}
}

// insist takes a step again where it came to nothing because the page was
// about to go, or has put another element in the place of the one that was
// found, as a person would; and gives up after a while.
func insist[T any](b *tab, step chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		v, err := chromedp.Run(ctx, step)
		if err == nil || !passing(err) || ctx.Err() != nil {
			return v, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// passing says whether an error is of a page or an element that is no more, or
// is not drawn yet: nothing has been typed or clicked then.
func passing(err error) bool {
	var refused *cdproto.Error
	return errors.Is(err, chromedp.ErrInvalidDimensions) || errors.As(err, &refused) && containsAny(refused.Message,
		"Could not find node", "No node with given id", "Node is detached", "Node does not have a layout object", "Could not compute", "Element is not focusable",
		"Cannot find context", "Cannot find default execution context", "context was destroyed", "Inspected target navigated")
}

func (b *tab) open(target string) *tab {
	b.t.Helper()
	b.do(chromedp.Navigate(target))
	return b.onward()
}

// onward waits until the tab has left pages that lead on by themselves, and has
// loaded the last.
func (b *tab) onward() *tab {
	b.t.Helper()
	return b.comes("a page that stays", func() bool {
		return evaluate[bool](b, `document.readyState === "complete" && document.querySelector("[data-leaves], [data-returns]") === null`)
	})
}

// comes waits for what is true soon, and fails with what is there instead.
func (b *tab) comes(what string, holds func() bool) *tab {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("at %s, want %s:\n%s", b.url(), what, b.text())
		}
	}
	return b
}

// evaluate evaluates an expression in the page, which works without scripts
// of the page's own too.
func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := insist(b, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *tab) url() *url.URL {
	b.t.Helper()
	text, err := insist(b, chromedp.Location())
	if err != nil {
		b.t.Fatal(err)
	}
	return mustParse(text)
}

func (b *tab) text() string {
	b.t.Helper()
	return evaluate[string](b, `document.body ? document.body.innerText : ""`)
}

// fill types into fields.
func (b *tab) fill(fields ...string) *tab {
	b.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		field := chromedp.CSS(`main [name="` + fields[i] + `"]`)
		b.do(chromedp.Clear(field), chromedp.SendKeys(field, fields[i+1]))
	}
	return b
}

// press clicks a button or a link of the page and waits for the next page.
func (b *tab) press(selector string) *tab {
	b.t.Helper()
	return b.leads("press "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// leads takes a step that leads to another page, and waits for that.
func (b *tab) leads(what string, step chromedp.Action[chromedp.Void]) *tab {
	b.t.Helper()
	if _, err := insist(b, func(ctx context.Context, t *chromedp.Target) (*network.Response, error) {
		return chromedp.RunResponse(ctx, step)
	}); err != nil {
		b.t.Fatalf("%s at %s: %v", what, b.url(), err)
	}
	return b.onward()
}

const submitButton = "main form button.button"

func (b *tab) signIn(name string) *tab {
	b.t.Helper()
	return b.at("/sign-in").fill("username", name, "password", password1).press(submitButton)
}

// at waits until the tab shows one of the gateway's own pages.
func (b *tab) at(path string) *tab {
	b.t.Helper()
	return b.comes("the page "+path, func() bool { return b.url().Path == "/.stepgate"+path })
}

// stands waits until the tab shows a target of the portal's and some words.
func (b *tab) stands(target, words string) *tab {
	b.t.Helper()
	return b.comes(fmt.Sprintf("%s with %q", target, words), func() bool {
		return b.url().RequestURI() == target && strings.Contains(b.text(), words)
	})
}

// says waits until the page has some words.
func (b *tab) says(words string) *tab {
	b.t.Helper()
	return b.comes(fmt.Sprintf("a page with %q", words), func() bool { return strings.Contains(b.text(), words) })
}

// shoot takes a picture of the whole page where somebody wants to see it, and
// looks at what a program can see: nothing may stick out.
func (b *tab) shoot(name string) *tab {
	b.t.Helper()
	if b.shots != "" {
		picture, err := insist(b, chromedp.FullScreenshot(100))
		if err != nil {
			b.t.Fatal(err)
		}
		b.keep(name+"-"+b.looks.String()+".png", picture)
	}
	if over := evaluate[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		b.t.Errorf("%s is %d pixels too wide at %s", name, over, b.looks)
	}
	return b
}

// keep writes a picture down where somebody wants to see it.
func (b *tab) keep(name string, picture []byte) {
	b.t.Helper()
	if b.shots == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(b.shots, name), picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// readSecret keeps the secret of a new authenticator app.
func (b *tab) readSecret() *tab {
	b.t.Helper()
	b.secret = strings.TrimSpace(evaluate[string](b, `document.querySelector("[data-stepgate=totp-secret]").textContent`))
	return b
}

// code makes a code of a step that has not been used.
func (b *tab) code() string {
	b.t.Helper()
	at := time.Now()
	if !b.used.IsZero() && at.Unix()/30 <= b.used.Unix()/30 {
		at = b.used.Add(30 * time.Second)
	}
	b.used = at
	return b.codeAt(at)
}

func (b *tab) codeAt(at time.Time) string {
	b.t.Helper()
	code, err := totp.GenerateCode(b.secret, at)
	if err != nil {
		b.t.Fatal(err)
	}
	return code
}

// awaitURL waits until the tab shows a path, and has loaded what is there.
func (b *tab) awaitURL(path string) *tab {
	b.t.Helper()
	return b.comes(path, func() bool { return b.url().Path == path }).onward()
}

func containsAny(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return w != "" && strings.Contains(text, w) })
}
