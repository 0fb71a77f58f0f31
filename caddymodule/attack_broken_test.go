package caddymodule

import (
	"os"
	"strings"
	"testing"
)

func TestStoreGoneClosesEverythingButThePublic(t *testing.T) {
	g := startGateway(t, strings.Replace(testHead, "\t\tstore sqlite", "\t\tstore_grace 1s\n\t\tstore sqlite", 1)+walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	if err := os.Rename(g.dir+"/stepgate.db", g.dir+"/away.db"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return b.get("/cases/1").status == 503 })
	b.get("/cases/1", fetch).want(503, "")
	stranger := g.browser()
	stranger.get("/cases/1").want(503, "/cases/1")
	stranger.get("/cases/1", fetch).want(503, "")
	stranger.get("/.stepgate/sign-in").want(503, "/.stepgate/sign-in")
	stranger.get("/.stepgate/health").want(503, "")
	stranger.get("/assets/x").want(200, "/assets/x")
	stranger.get("/debug/x").want(403, "")
	b.get("/assets/x").want(200, "/assets/x")
	b.get("/debug/x").want(403, "")
	if err := os.Rename(g.dir+"/away.db", g.dir+"/stepgate.db"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return b.get("/cases/1").status == 200 })
	if p := stranger.get("/.stepgate/health", fetch); p.status != 204 || p.body != "" {
		t.Errorf("health: %d %q", p.status, p.body)
	}
	stranger.get("/cases/1").at("/sign-in")
}

func TestABadKeyFileStopsTheStart(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	if err := stopGateway(); err != nil {
		t.Fatal(err)
	}
	key := g.dir + "/stepgate.key"
	good, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	restore := func() {
		os.Remove(key)
		if err := os.WriteFile(key, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, spoil := range map[string]func() error{
		"missing": func() error { return os.Remove(key) },
		"short":   func() error { return os.WriteFile(key, good[:len(good)-20], 0o600) },
		"empty":   func() error { return os.WriteFile(key, nil, 0o600) },
		"open":    func() error { return os.Chmod(key, 0o644) },
		"wrong": func() error {
			g.dir, _ = g.dir+"/other", os.Mkdir(g.dir+"/other", 0o700)
			defer func() { g.dir = strings.TrimSuffix(g.dir, "/other") }()
			g.load(walkSite)
			if err := stopGateway(); err != nil {
				return err
			}
			return os.Rename(g.dir+"/stepgate.key", key)
		},
	} {
		restore()
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if err := g.tryLoad(walkSite); err == nil || !strings.Contains(err.Error(), "stepgate.key") {
			t.Errorf("%s: %v", name, err)
			stopGateway()
		}
	}
	restore()
	g.load(walkSite)
	b := g.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
}
