package author

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/policy/target"
)

// traffic is a log of requests, each so many times.
func traffic(counts map[string]int) string {
	var b strings.Builder
	for request, n := range counts {
		status := 200
		if strings.Contains(request, "missing") {
			status = 404
		}
		for i := range n {
			b.WriteString(clf(strings.ReplaceAll(request, "%d", fmt.Sprint(i))+" HTTP/1.1", status, "Mozilla/5.0"))
		}
	}
	return b.String()
}

func proposal(t *testing.T, text, log string) (*Rehearsal, string) {
	t.Helper()
	r := rehearsal(t, text)
	r.Paths = true
	report := run(t, r, log)
	list, err := r.Propose(report, noon)
	if err != nil || len(list) != 1 {
		t.Fatal(err, list)
	}
	return r, list[0].Text
}

func TestProposeGolden(t *testing.T) {
	_, text := proposal(t, "level key { accept webauthn; max_age 10m }\nrequire key /secret/* { group staff; raise mfa when not client_ip 10.0.0.0/8 }\nraise key { method POST; not device private }", traffic(map[string]int{
		"GET /": 50, "GET /favicon.ico": 20, "GET /assets/site.css": 200, "GET /assets/js/app.js": 100, "GET /login": 30, "POST /login": 30,
		"GET /cases/%d": 300, "POST /cases/%d": 60, "GET /cases/logo.png": 20, "GET /cases/print.css": 10, "GET /cases/screen.css": 10,
		"GET /app.do?action=show&id=%d": 80, "GET /app.do?action=deleteCase&id=%d": 5, "GET /app/admin/users/%d": 12, "GET /secret/plans": 40,
		"GET /missing/%d": 500, "GET /rare": 1, "GET /{$HOME}/x": 30, "GET /.stepgate/sign-in": 40, "GET /a/../b": 3, "GET /static/css/a.css": 40, "GET /app/list": 90,
	}))
	golden(t, "propose.golden", text)
}

// TestNothingIsProposedForTheWatchedLogin, which no rule is asked about.
func TestNothingIsProposedForTheWatchedLogin(t *testing.T) {
	r := rehearsal(t, "default mfa")
	r.Paths = true
	r.Sites[0].Login = func(_ *Facts, readings *target.Readings) string {
		return map[string]string{"/login": "login_page"}[readings.RawPath()]
	}
	list, err := r.Propose(run(t, r, traffic(map[string]int{"GET /login": 50, "POST /login": 50, "GET /cases/%d": 50})), noon)
	if err != nil || len(list) != 1 || strings.Contains(list[0].Text, "/login") || !strings.Contains(list[0].Text, "/cases") {
		t.Errorf("%v, %v", list, err)
	}
}

// TestProposeIsNeverWeakerThanARule that is enforced, whatever was guessed.
func TestProposeIsNeverWeakerThanARule(t *testing.T) {
	const enforced = "default mfa\nrequire phishing_resistant /*/private/*\ndeny /assets/*.map\nrequire mfa POST /*/login"
	r, text := proposal(t, enforced, traffic(map[string]int{
		"GET /assets/site.css": 100, "GET /assets/x.css": 100, "GET /img/a.png": 100, "GET /portal/login": 50, "GET /portal/page": 20,
	}))
	for _, never := range []string{"public /assets/*", "public /img/*", "/portal/*   #"} {
		if strings.Contains(text, never) {
			t.Errorf("%s is weaker than a rule where they cross:\n%s", never, text)
		}
	}
	if !strings.Contains(text, "require phishing_resistant /*/private/*") || !strings.Contains(text, "deny /assets/*.map") {
		t.Errorf("what is enforced is missing:\n%s", text)
	}
	_, queried := proposal(t, "default signed_in\nrequire mfa /case.do?action=delete\nrequire mfa /cases/*", traffic(map[string]int{"GET /case.do?action=delete": 50, "GET /cases/%d": 50}))
	if !strings.Contains(queried, "require mfa /case.do?action=delete\n") || !strings.Contains(queried, "require mfa /cases/*   # 50.0 %\n") {
		t.Errorf("a share of what only adds to another:\n%s", queried)
	}
	if r.Sites[0].Config.Rules == nil || len(r.Sites[0].Config.Rules) != 3 {
		t.Error("the enforced policy was changed")
	}
}
