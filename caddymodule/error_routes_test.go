package caddymodule

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// errorSite has an error before its gate, an upstream that is not there, and
// a proxy for both in its error routes.
const errorSite = `{{site}} {
	route {
		error /early/* 500
		stepgate {
			policy {
				public      /early/public/* /public/*
				require mfa /early/secret/* /sorry/*
				default     signed_in
			}
		}
		reverse_proxy DEAD
	}
	handle_errors {
		handle /early/turn/* {
			rewrite * /sorry/page
			reverse_proxy {{upstream}}
		}
		respond /early/words/* "in words" 500
		reverse_proxy {{upstream}}
	}
}
`

func TestAProxyOfErrorsIsGated(t *testing.T) {
	dead := freeAddress(t)
	g := startGateway(t, strings.Replace(errorSite, "DEAD", dead, 1), nil)
	g.addUser("joe")
	spoof := func(r *http.Request) {
		fetch(r)
		r.Header.Set("Remote-User", "admin")
	}
	stranger := g.browser()
	for path, status := range map[string]int{
		"/early/secret/x": 401, "/early/other": 401, "/early/turn/x": 401, "/early/public/x": 200, "/public/x": 200, "/early/words/x": 500, "/other": 401,
	} {
		g.last()
		if got := stranger.get(path, spoof).status; got != status {
			t.Errorf("%s: %d, want %d", path, got, status)
		}
		got := g.last()
		if (got != nil) != (status == 200) {
			t.Errorf("%s reached the proxy of errors: %v", path, got)
		}
		if got != nil && got.Header["Remote-User"] != nil {
			t.Errorf("%s: Remote-User %q", path, got.Header["Remote-User"])
		}
	}
	joe := g.browser()
	joe.signIn(joe.get("/.stepgate/sign-in"), "joe")
	for path, status := range map[string]int{"/other": 200, "/early/other": 200, "/early/secret/x": 401, "/early/turn/x": 401} {
		g.last()
		if got := joe.get(path, spoof).status; got != status {
			t.Errorf("joe at %s: %d, want %d", path, got, status)
		}
		if got := g.last(); got != nil && (got.Header.Get("Remote-User") != "joe" || strings.Contains(got.Header.Get("Cookie"), "stepgate")) {
			t.Errorf("joe at %s: %v", path, got.Header)
		}
	}
}

// namedErrorSite leads errors to a proxy by a named route, and shows files
// where something before the gate has failed.
const namedErrorSite = `&(app) {
	reverse_proxy {{upstream}}
}

&(round) {
	route {
		invoke app
	}
}

&(words) {
	respond "in words" 500
}

{{site}} {
	root * {{dir}}/files
	route {
		error /early/* 500
		error /files/* 500
		stepgate {
			policy {
				public  /early/public/* /files/public/*
				default signed_in
			}
		}
	}
	handle_errors {
		handle /early/round/* {
			invoke round
		}
		handle /early/words/* {
			invoke words
		}
		handle /early/* {
			invoke app
		}
		handle /files/page/* {
			rewrite * /sorry.html
			file_server
		}
		file_server
	}
}
`

func TestWhatErrorsLeadToIsGated(t *testing.T) {
	g := startGateway(t, namedErrorSite, nil)
	for path, text := range map[string]string{"sorry.html": "sorry", "files/secret.txt": "secret", "files/public/x.txt": "public"} {
		file := filepath.Join(g.dir, "files", path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	g.addUser("joe")
	stranger, joe := g.browser(), g.browser()
	joe.signIn(joe.get("/.stepgate/sign-in"), "joe")
	for _, row := range []struct {
		path           string
		nobody, signed int
	}{
		{"/early/x", 401, 200}, {"/early/round/x", 401, 200}, {"/early/public/x", 200, 200}, {"/early/words/x", 500, 500},
		{"/files/secret.txt", 401, 500}, {"/files/public/x.txt", 500, 500}, {"/files/page/x", 500, 500},
	} {
		for name, who := range map[string]struct {
			*browser
			status int
		}{"a stranger": {stranger, row.nobody}, "joe": {joe, row.signed}} {
			g.last()
			got := who.get(row.path, fetch)
			if got.status != who.status || strings.Contains(got.body, "secret") != (row.path == "/files/secret.txt" && who.status == 500) {
				t.Errorf("%s at %s: %d %q, want %d", name, row.path, got.status, got.body, who.status)
			}
			if reached := g.last(); (reached != nil) != (who.status == 200) {
				t.Errorf("%s at %s reached the proxy: %v", name, row.path, reached)
			}
		}
	}
}
