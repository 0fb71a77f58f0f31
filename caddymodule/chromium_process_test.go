package caddymodule

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

const (
	chromiumPath = "/usr/bin/chromium"
	// shellPath is the same browser without windows around its pages, which are
	// four tenths of its work.
	shellPath = "/usr/lib/chromium/chromium-headless-shell"
)

// chromium is a running browser; each profile of it is a browser to the
// gateway.
type chromium struct {
	t   *testing.T
	ctx context.Context
	// shots is where pictures of pages go, STEPGATE_SCREENSHOTS; where that is
	// empty none is taken.
	shots string
}

// common are the browsers that the tests of this package share by what they
// run, as people do who have profiles of their own: to start one takes as long
// as many a test.
var common = struct {
	sync.Mutex
	running map[string]context.Context
	stop    map[string]func()
}{running: map[string]context.Context{}, stop: map[string]func(){}}

// startChromium gives the browser that all tests share.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	return sharedChromium(t, shellPath)
}

// startWindows gives one with windows around its pages, for tests of what it
// does then alone: it keeps pages in its memory to go back to.
func startWindows(t *testing.T) *chromium {
	t.Helper()
	return sharedChromium(t, chromiumPath)
}

func sharedChromium(t *testing.T, path string) *chromium {
	t.Helper()
	c := needsChromium(t)
	common.Lock()
	defer common.Unlock()
	if running := common.running[path]; running == nil || running.Err() != nil {
		stopChromium(path)
		profile, err := os.MkdirTemp("", "stepgate-chromium")
		if err != nil {
			t.Fatal(err)
		}
		running, stop, err := runChromium(context.Background(), path, profile)
		common.running[path], common.stop[path] = running, func() {
			stop()
			os.RemoveAll(profile)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.ctx = common.running[path]
	return c
}

// stopChromium ends browsers that tests share.
func stopChromium(paths ...string) {
	for _, path := range paths {
		if stop := common.stop[path]; stop != nil {
			stop()
		}
		delete(common.running, path)
		delete(common.stop, path)
	}
}

// profileFolder is a folder for profiles. What a browser leaves running for a
// moment may still write into it when it goes.
func profileFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "stepgate-profiles")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { waitFor(t, func() bool { return os.RemoveAll(dir) == nil }) })
	return dir
}

// startChromiumOn starts one whose first profile is kept in a folder.
func startChromiumOn(t *testing.T, profile string, more ...chromedp.ExecAllocatorOption) *chromium {
	t.Helper()
	c := needsChromium(t)
	running, stop, err := runChromium(t.Context(), chromiumPath, profile, more...)
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
	for _, path := range []string{chromiumPath, shellPath} {
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("STEPGATE_TEST_REQUIRE") != "" {
				t.Fatal(err)
			}
			t.Skip("needs " + path)
		}
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
func runChromium(ctx context.Context, path, profile string, more ...chromedp.ExecAllocatorOption) (running context.Context, stop func(), err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(patience), chromedp.UserDataDir(profile), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true),
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
