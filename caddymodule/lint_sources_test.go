package caddymodule

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/policy/author"
)

// TestLintTellsWhatASourceTakesOnTrust: each note stands on the line of the
// option that it is about.
func TestLintTellsWhatASourceTakesOnTrust(t *testing.T) {
	const form = "sign_in legacy_form {\nsubmit POST /login.php\nusername_field user\npassword_field pass\nlogin_page /login.php\nsuccess status 302\nsession_cookie SESS\n%s\n}"
	const script = "sign_in legacy_form {\nsubmit POST /token\nusername_field json /user\npassword_field json /pass\nlogin_page /\nsuccess status 200\nidentity probe /me `\"user\":\"([^\"]+)\"`\n%s\n}"
	const basic = "sign_in upstream_basic {\n%s\n}"
	const each = "level each {\naccept password\nonce\n}\nrequire each /a"
	codes := []string{author.CodeUnmeetable, codeFormWithoutIdentity, codeIdentityText, codeAnyToken, codeBearer, codePassed, codeOwnPage, codeProbe}
	for _, tt := range []struct{ name, source, option, policy, want string }{
		{"nobody says who", form, "", "", "3 " + codeFormWithoutIdentity},
		{"a text of the application's", form, "identity probe /me `Signed in as <b>(.+?)</b>`", "", ""},
		{"a field", form, "identity probe /me `<input name=\"login\" value=\"([^\"]+)\"`", "", "10 " + codeIdentityText},
		{"a field that is locked behind", form, "identity probe /me `<input name=\"login\" value=\"([^\"]+)\"[^>]*\\sdisabled`", "", ""},
		{"a field that is locked before", form, "identity probe /me `<input readonly name=\"login\" value=\"([^\"]+)\"`", "", ""},
		{"an area", form, "identity body `<textarea name=\"x\">([^<]+)<`", "", "10 " + codeIdentityText},
		{"a greeting", form, "identity probe /me `Howdy, <b>([^<]+)<`", "", "10 " + codeIdentityText},
		{"a display name", form, "identity probe /me `\"display_name\":\"([^\"]+)\"`", "", "10 " + codeIdentityText},
		{"accepted", form, "identity probe /me `Howdy, <b>([^<]+)<` # lint: ok " + codeIdentityText + ": it greets by the name to sign in", "", ""},
		{"any text may be a token", script, "", "", "5 " + codeAnyToken + ", 5 " + codeBearer},
		{"a token that is named", script, "session_token json /access_token", "", "10 " + codeBearer},
		{"Authorization passes", form, "identity header X-User\npass_authorization", "", "11 " + codePassed},
		{"the box", basic, "probe /", "", ""},
		{"the gateway's page", basic, "own_page", "", "4 " + codeOwnPage},
		{"a password each time, at a box", basic, "", each, "7 " + author.CodeUnmeetable},
		{"a password each time, at the gateway's page", basic, "own_page", each, "4 " + codeOwnPage},
		{"a password each time, typed before", "sign_in trusted {http.auth.user.id} {\nfrom earlier_handler\n%s\n}", "", each, "8 " + author.CodeUnmeetable},
		{"a password each time, in some other way", "sign_in trusted {http.auth.user.id} {\nfrom earlier_handler\n%s\n}\nsign_in local", "", each, ""},
		{"a probe behind a second factor", basic, "probe /admin/x", "require mfa /admin/*", "4 " + codeProbe},
		{"a probe for a sign-in", basic, "probe /admin/x", "require mfa /admin/*\nrequire signed_in /admin/x", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "http://a.test {\nstepgate {\n" + fmt.Sprintf(tt.source, tt.option) + "\npolicy {\n" + tt.policy + "\ndefault mfa\n}\n}\nreverse_proxy 127.0.0.1:9000\n}\n"
			var got []string
			for _, f := range lintText(t, text) {
				if slices.Contains(codes, f.Code) {
					got = append(got, fmt.Sprintf("%d %s", f.Line, f.Code))
					if f.Note == (f.Code == author.CodeUnmeetable) || f.Mend == "" {
						t.Errorf("%s is none of the kind, or says no way out", f.Code)
					}
				}
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
