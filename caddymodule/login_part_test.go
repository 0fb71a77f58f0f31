package caddymodule

import (
	"testing"

	"github.com/stepgate/stepgate/policy/author"
)

// TestExplainKnowsThePartsOfAWatchedLogin: the gate lets them pass without a
// session, by exactly their method, path, query and form.
func TestExplainKnowsThePartsOfAWatchedLogin(t *testing.T) {
	const text = "http://a.test {\nstepgate {\nsign_in legacy_form {\nsubmit POST /login.php\nsubmit POST /index.php form do login\nusername_field user\npassword_field pass\n" +
		"login_page /login.php?lang=*\nsign_out /logout.php\nsuccess status 302\nsession_cookie SESS\nidentity header X-User\n}\n}\nreverse_proxy 127.0.0.1:9000\n}\n"
	d := drawText(t, text)
	site := d.Sites()[0]
	for _, tt := range []struct {
		method, target string
		form           []author.Field
		want           string
	}{
		{"GET", "/login.php", nil, "login_page"},
		{"GET", "/login.php?lang=cy", nil, "login_page"},
		{"GET", "/login.php?page=admin", nil, ""},
		{"GET", "/LOGIN.php", nil, ""},
		{"POST", "/login.php", nil, "submit"},
		{"POST", "/index.php", nil, ""},
		{"POST", "/index.php", []author.Field{{Name: "do", Value: "login"}}, "submit"},
		{"GET", "/logout.php", nil, "sign_out"},
		{"GET", "/cases", nil, ""},
	} {
		if got := site.Explain(author.Facts{Method: tt.method, Target: tt.target, Form: tt.form}).Login; got != tt.want {
			t.Errorf("%s %s %v: %q, want %q", tt.method, tt.target, tt.form, got, tt.want)
		}
	}
}
