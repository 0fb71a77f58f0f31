package caddymodule

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/stepgate/stepgate/caddymodule/command"
	"github.com/stepgate/stepgate/policy/author"
)

const watchedSite = `http://a.test {
	stepgate {
		sign_in legacy_form {
			submit POST /login.php
			username_field user
			password_field pass
			success status 302
			session_cookie SESS
			identity cookie WHO
			%s
		}
		policy {
			%s
		}
	}
	reverse_proxy 127.0.0.1:9000
}
`

// TestLintNamesLoginPagesThatNeedMore: a login page within a protected part of
// a site is passed all the same, which lint says.
func TestLintNamesLoginPagesThatNeedMore(t *testing.T) {
	finding, note := "10 "+codeLoginPageOpen, "10 note "+codeLoginPageOpen
	for _, tt := range []struct{ name, pages, policy, want string }{
		{"a login within the default", "login_page /login.php", "default mfa", ""},
		{"a login within the whole site", "login_page /login.php", "require mfa /*\ndefault mfa", ""},
		{"a rule for a sign-in", "login_page /app/login.php", "require signed_in /app/*\ndefault mfa", ""},
		{"a rule for more", "login_page /app/login.php", "require mfa /app/*\ndefault mfa", finding},
		{"a raise", "login_page /app/login.php", "require signed_in /app/* {\nraise mfa when not client_ip 10.0.0.0/8\n}\ndefault mfa", finding},
		{"a group's", "login_page /app/login.php", "require signed_in /app/* {\ngroup admins\n}\ndefault mfa", finding},
		{"another method", "login_page /app/login.php", "require mfa POST /app/*\ndefault mfa", ""},
		{"another case", "login_page /App/Login.php", "require mfa /app/login.php\ndefault mfa", finding},
		{"with a query", "login_page /app?do=login", "require mfa /app\ndefault mfa", finding},
		{"free fields", "login_page /login.php?id=*&do=login", "default mfa", note},
		{"free fields of a public page", "login_page /login.php?id=*", "public /login.php\ndefault mfa", ""},
		{"accepted", "login_page /login.php?id=* # lint: ok " + codeLoginPageOpen + ": it shows its form alone", "default mfa", ""},
		{"accepted for nothing", "login_page /login.php # lint: ok " + codeLoginPageOpen + ": it shows its form alone", "default mfa", "10 accepts-nothing"},
		{"denied", "login_page /app/login.php", "deny /app/*\ndefault mfa", ""},
		{"a sign-out", "login_page /l\nsign_out POST /app/out", "require mfa POST /app/*\ndefault mfa", "11 " + codeLoginPageOpen},
		{"a sign-out by any method", "login_page /l\nsign_out /app/out?id=*", "require mfa POST /app/*\ndefault mfa", "11 " + codeLoginPageOpen},
		{"a sign-out within the default", "login_page /l\nsign_out /out?token=*", "default mfa", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range lintText(t, fmt.Sprintf(watchedSite, tt.pages, tt.policy)) {
				if f.Code != codeLoginPageOpen && f.Code != "accepts-nothing" {
					continue
				}
				kind := ""
				if f.Note {
					kind = "note "
				}
				got = append(got, fmt.Sprintf("%d %s%s", f.Line, kind, f.Code))
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// drawText draws the gates of a Caddyfile.
func drawText(t *testing.T, text string) command.Drawing {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": file})
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := drawGates(file, raw)
	if err != nil {
		t.Fatal(err)
	}
	return drawn
}

// lintText lints a Caddyfile.
func lintText(t *testing.T, text string) []author.Finding {
	t.Helper()
	d := drawText(t, text)
	found, err := d.Lint()
	if err != nil {
		t.Fatal(err)
	}
	return found
}
