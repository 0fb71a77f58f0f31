package caddymodule

import (
	"net/http"
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
