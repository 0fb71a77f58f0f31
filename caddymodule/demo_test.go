package caddymodule

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/caddymodule/command"
)

// runningDemo is a demonstration that has said what to try.
type runningDemo struct {
	*rig
	text string
	stop func() error
}

var (
	demoAddress  = regexp.MustCompile(`(?m)^  Portal +(http://\S+)$`)
	demoSignIns  = regexp.MustCompile(`(?m)^.{10}  (\w+) +password (\S+) `)
	demoSettings = regexp.MustCompile(`(?m)^  Policy +(\S+)$`)
)

// startDemo runs the demo on a port that nobody else takes.
func startDemo(t *testing.T, data string) *runningDemo {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	out := &told{until: "Ctrl-C", done: make(chan struct{})}
	ended := make(chan error, 1)
	listen := freeAddress(t)
	go func() {
		ended <- command.RunDemo(ctx, command.DemoOptions{Listen: listen, Data: data, Command: "stepgate", Out: out})
	}()
	d := &runningDemo{stop: func() error {
		cancel()
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(patience):
			return errors.New("the demo does not end")
		}
	}}
	t.Cleanup(func() { _ = d.stop() })
	select {
	case <-out.done:
	case err := <-ended:
		ended <- err
		t.Fatalf("the demo ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the demo says nothing")
	}
	d.text = out.text.String()
	d.rig = &rig{t: t, url: d.find(t, demoAddress)}
	return d
}

func (d *runningDemo) find(t *testing.T, wanted *regexp.Regexp) string {
	t.Helper()
	found := wanted.FindStringSubmatch(d.text)
	if found == nil {
		t.Fatalf("nothing like %s in:\n%s", wanted, d.text)
	}
	return found[1]
}

// passwords are the accounts that the demo printed.
func (d *runningDemo) passwords() map[string]string {
	found := map[string]string{}
	for _, m := range demoSignIns.FindAllStringSubmatch(d.text, -1) {
		found[m[1]] = m[2]
	}
	return found
}

// told is a writer that tells when some words were written to it.
type told struct {
	text  strings.Builder
	until string
	done  chan struct{}
}

func (o *told) Write(p []byte) (int, error) {
	n, err := o.text.Write(p)
	if strings.Contains(string(p), o.until) {
		close(o.done)
	}
	return n, err
}

// link is the first address on a page that leads to one of the gateway's own.
func (p *page) link(path string) string {
	p.t.Helper()
	for _, a := range elements(p.document, "a") {
		if target := attribute(a, "href"); strings.HasPrefix(target, "/.stepgate"+path) {
			return target
		}
	}
	p.t.Fatalf("no link to %s at %s:\n%s", path, p.url, p.body)
	return ""
}

// text waits until the page of messages shows one, and returns its body.
func (b *browser) text(t *testing.T, inbox string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		for _, body := range elements(b.get(inbox).document, "pre") {
			return textOf(body)
		}
	}
	t.Fatal("no message arrives")
	return ""
}

func TestDemoShowsWhatItSays(t *testing.T) {
	d := startDemo(t, "")
	folder := filepath.Dir(d.find(t, demoSettings))
	passwords := d.passwords()
	if len(passwords) != 2 {
		t.Fatalf("accounts %v in:\n%s", passwords, d.text)
	}

	joe := d.browser()
	joe.get("/about").want(http.StatusOK, "/about")
	joe.get(strings.Replace(d.url, "localhost", "127.0.0.1", 1)+"/about?x=1").want(http.StatusOK, "/about?x=1")
	joe.get("/debug/vars").want(http.StatusForbidden, "/debug/vars")
	front := joe.get("/").at("/sign-in")
	home := joe.submit(front, "username", map[string]string{"username": "joe", "password": passwords["joe"]}).want(http.StatusOK, "/")
	if !strings.Contains(home.body, "Joe Bloggs") {
		t.Errorf("the portal does not know who it is:\n%s", home.body)
	}
	phone := joe.get(joe.get("/cases").at("/enrol").link("/enrol/sms")).at("/enrol/sms")
	phone = joe.submit(phone, "mobile", map[string]string{"mobile": "07700 900609", "action": "send"}).at("/enrol/sms")
	code := sixDigits.FindString(joe.text(t, "/inbox"))
	joe.submit(phone, "code", map[string]string{"code": code, "action": "verify"}).want(http.StatusOK, "/cases")
	joe.get("/payments/new").want(http.StatusOK, "/payments/new") // the code is fresh
	joe.get("/admin/").want(http.StatusForbidden, "/admin/")

	ann := d.browser()
	office := ann.submit(ann.get("/admin/").at("/sign-in"), "username", map[string]string{"username": "ann", "password": passwords["ann"]})
	ann.enrol(ann.get(office.at("/enrol").link("/enrol/totp")).at("/enrol/totp")).want(http.StatusOK, "/admin/")

	if err := d.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", folder, err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://")); err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
}

func TestDemoEndsThoughAStreamIsOpen(t *testing.T) {
	d := startDemo(t, "")
	joe := d.browser()
	joe.submit(joe.get("/").at("/sign-in"), "username", map[string]string{"username": "joe", "password": d.passwords()["joe"]}).want(http.StatusOK, "/")
	events, err := joe.client.Get(d.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	if got := events.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("no stream: %s", got)
	}
	began := time.Now()
	if err := d.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("stopping took %s", took)
	}
}

func TestDemoKeepsANamedFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "kept")
	first := startDemo(t, data)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(data, "stepgate.db")); err != nil {
		t.Fatal(err)
	}
	second := startDemo(t, data)
	b := second.browser()
	b.submit(b.get("/").at("/sign-in"), "username", map[string]string{"username": "joe", "password": second.passwords()["joe"]}).want(http.StatusOK, "/")
}

func TestDemoRefusesAddressesItCannotUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, listen := range []string{"8080", "portal.example:8080", "localhost", taken.Addr().String()} {
		err := command.RunDemo(t.Context(), command.DemoOptions{Listen: listen})
		if err == nil || !strings.Contains(err.Error(), "--listen "+listen) {
			t.Errorf("--listen %s: %v", listen, err)
		}
	}
}
