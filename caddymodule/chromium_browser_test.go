package caddymodule

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
)

const chromiumPath = "/usr/bin/chromium"

// chromium is a running browser; each profile of it is a browser to the
// gateway.
type chromium struct {
	t   *testing.T
	ctx context.Context
	// shots is where pictures of pages go, STEPGATE_SCREENSHOTS; where that is
	// empty none is taken.
	shots string
}

// common is the browser that the tests of this package share, as people do who
// have profiles of their own: to start one takes as long as many a test.
var common struct {
	sync.Mutex
	ctx  context.Context
	stop func()
}

// startChromium gives the browser that all tests share.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	c := needsChromium(t)
	common.Lock()
	defer common.Unlock()
	if common.ctx == nil || common.ctx.Err() != nil {
		stopChromium()
		profile, err := os.MkdirTemp("", "stepgate-chromium")
		if err != nil {
			t.Fatal(err)
		}
		running, stop, err := runChromium(context.Background(), profile)
		common.ctx, common.stop = running, func() {
			stop()
			os.RemoveAll(profile)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.ctx = common.ctx
	return c
}

// stopChromium ends the browser that all tests share.
func stopChromium() {
	if common.stop != nil {
		common.stop()
	}
	common.ctx, common.stop = nil, nil
}

// startChromiumOn starts one whose first profile is kept in a folder.
func startChromiumOn(t *testing.T, profile string, more ...chromedp.ExecAllocatorOption) *chromium {
	t.Helper()
	c := needsChromium(t)
	running, stop, err := runChromium(t.Context(), profile, more...)
	t.Cleanup(stop)
	if err != nil {
		t.Fatal(err)
	}
	c.ctx = running
	return c
}

// needsChromium skips what has no browser here.
func needsChromium(t *testing.T) *chromium {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser")
	}
	if _, err := os.Stat(chromiumPath); err != nil {
		if os.Getenv("STEPGATE_TEST_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skip("needs " + chromiumPath)
	}
	shots := os.Getenv("STEPGATE_SCREENSHOTS")
	if shots != "" {
		if err := os.MkdirAll(shots, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &chromium{t: t, shots: shots}
}

// runChromium runs one until it is stopped, which waits for its end.
func runChromium(ctx context.Context, profile string, more ...chromedp.ExecAllocatorOption) (running context.Context, stop func(), err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromiumPath), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(profile), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("ignore-certificate-errors", true), // of Caddy's own authority
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"))
	alloc, cancelAlloc := chromedp.NewExecAllocator(ctx, append(options, more...)...)
	running, cancel := chromedp.NewContext(alloc)
	stop = func() {
		cancel()
		cancelAlloc()
	}
	return running, stop, chromedp.Do(running)
}

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
	// answered is when a button was last pressed.
	answered time.Time
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
	return b
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
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for _, step := range steps {
		if err := found(func() error { return chromedp.Do(ctx, step) }); err != nil {
			b.t.Fatalf("at %s: %v", b.url(), err)
		}
	}
}

// found takes a step again where the page has put another element in the place
// of the one that was found for it, as a person would: nothing has been typed
// or clicked then.
func found(step func() error) error {
	for {
		err := step()
		if err == nil || !strings.Contains(err.Error(), "Could not find node with given id") {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *tab) open(target string) *tab {
	b.t.Helper()
	b.do(chromedp.Navigate(target))
	return b.onward()
}

// onward waits until the tab has left a page that leads on by itself.
func (b *tab) onward() *tab {
	b.t.Helper()
	for end := time.Now().Add(patience); evaluate[bool](b, `document.querySelector("[data-leaves], [data-returns]") !== null`); {
		if time.Now().After(end) {
			b.t.Fatalf("still at %s:\n%s", b.url(), b.text())
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.do(chromedp.WaitReady(chromedp.CSS("body, frameset")))
	return b
}

// evaluate evaluates an expression in the page, which works without scripts
// of the page's own too.
func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *tab) url() *url.URL {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		b.t.Fatal(err)
	}
	return mustParse(text)
}

func (b *tab) text() string {
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
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := found(func() error {
		_, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
		return err
	}); err != nil {
		b.t.Fatalf("press %s at %s: %v", selector, b.url(), err)
	}
	b.answered = time.Now()
	return b.onward()
}

const submitButton = "main form button.button"

func (b *tab) signIn(name string) *tab {
	b.t.Helper()
	return b.at("/sign-in").fill("username", name, "password", password1).press(submitButton)
}

// at fails unless the tab shows one of the gateway's own pages.
func (b *tab) at(path string) *tab {
	b.t.Helper()
	if got := b.url(); got.Path != "/.stepgate"+path {
		b.t.Fatalf("at %s, want the page %s:\n%s", got, path, b.text())
	}
	return b
}

// stands fails unless the tab shows a target of the portal's and some words.
func (b *tab) stands(target, words string) *tab {
	b.t.Helper()
	if got, text := b.url().RequestURI(), b.text(); got != target || !strings.Contains(text, words) {
		b.t.Fatalf("at %s, want %s with %q:\n%s", got, target, words, text)
	}
	return b
}

// says fails unless the page has some words.
func (b *tab) says(words string) *tab {
	b.t.Helper()
	if text := b.text(); !strings.Contains(text, words) {
		b.t.Fatalf("at %s there is no %q:\n%s", b.url(), words, text)
	}
	return b
}

// shoot takes a picture of the whole page where somebody wants to see it, and
// looks at what a program can see: nothing may stick out.
func (b *tab) shoot(name string) *tab {
	b.t.Helper()
	if b.shots != "" {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
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

// awaitURL waits until the tab shows a path.
func (b *tab) awaitURL(path string) *tab {
	b.t.Helper()
	for deadline := time.Now().Add(patience); b.url().Path != path; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("at %s, want %s:\n%s", b.url(), path, b.text())
		}
	}
	b.do(chromedp.WaitReady(chromedp.CSS("body")))
	return b
}

func containsAny(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return w != "" && strings.Contains(text, w) })
}
