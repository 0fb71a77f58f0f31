package caddymodule

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

const walkSite = `{{site}} {
	stepgate {
		policy {
			level fresh_code {
				accept totp
				max_age 10m
			}
			public            /assets/*
			require signed_in /
			require mfa       /cases/*
			require fresh_code /payments/*
			require mfa       /admin/* {
				group admins
			}
			deny              /debug/*
		}
	}
	reverse_proxy {{upstream}}
}
`

func TestFirstVisitEnrolsAndReturnsToTheVeryURL(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	const target = "/cases/7?q=a%20b&x=%2F&empty=&x=2"
	p := b.get(target).want(200, "").at("/sign-in")
	p = b.signIn(p, "joe").want(200, "").atEnrolment()
	p = b.choose(p, "/enrol/totp")
	again := b.get(p.url.String())
	if p.marked("totp-secret") != again.marked("totp-secret") {
		t.Error("the secret changed when the page was loaded again")
	}
	p = b.enrol(p).want(200, target)
	if p.body != "upstream GET "+target {
		t.Errorf("got %q", p.body)
	}
	got := g.last()
	for name, want := range map[string]string{"Remote-User": "joe", "Remote-Name": "Joe Bloggs", "Remote-Email": "joe@example.test"} {
		if diff := cmp.Diff([]string{want}, got.Header[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if strings.Contains(got.Header.Get("Cookie"), "stepgate") {
		t.Errorf("a gateway cookie reached the upstream: %s", got.Header.Get("Cookie"))
	}
}

func TestALongTargetIsReturnedToOrThePageSaysThatItIsNot(t *testing.T) {
	site := strings.Replace(walkSite, "policy {", "policy {\n\t\t\trequire signed_in /search", 1)
	g := startGateway(t, site, nil)
	g.addUser("joe")
	var form, random strings.Builder
	for i := range 200 {
		fmt.Fprintf(&form, "&criteria%%5B%d%%5D%%5Bname%%5D=Gr%%C3%%B6%%C3%%9Fe+%d&criteria%%5B%d%%5D=", i, i*7919, i)
	}
	dice := rand.New(rand.NewPCG(1, 2))
	for random.Len() < 14_500 {
		random.WriteString(strconv.FormatUint(dice.Uint64(), 36))
	}
	for name, target := range map[string]string{
		"a search form": "/search?x=1" + form.String()[:13_500], "a token": "/search?token=" + random.String()[:9_000],
	} {
		b := g.browser()
		if p := b.signIn(b.get(target).at("/sign-in"), "joe"); p.status != 200 || p.body != "upstream GET "+target {
			t.Errorf("%s: at %.80s (%d)", name, p.url, p.status)
		}
	}
	b := g.browser()
	target := "/search?token=" + random.String()
	if p := b.get(target, fetch); p.status != 401 || len(p.body) > 4_000 {
		t.Errorf("a call of a script: %d, %d bytes", p.status, len(p.body))
	}
	p := b.signIn(b.get(target).at("/sign-in"), "joe").at("/challenge")
	if !strings.Contains(p.body, "too long for us to remember") {
		t.Errorf("the page does not say so:\n%s", p.body)
	}
	b.get(target).want(200, target)
}

func TestSecondBrowserIsAskedForACodeAndAUsedCodeIsRefused(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	first := g.browser()
	first.enrol(first.signIn(first.get("/cases/1"), "joe")).want(200, "/cases/1")
	used, err := totp.GenerateCode(first.secret, first.used)
	if err != nil {
		t.Fatal(err)
	}
	b := g.browser()
	b.secret, b.used = first.secret, first.used
	p := b.signIn(b.get("/cases/2"), "joe").want(200, "").at("/challenge/totp")
	p = b.submit(p, "code", map[string]string{"code": used}).at("/challenge/totp")
	if !strings.Contains(p.body, "used already") {
		t.Errorf("a used code was not named as such:\n%s", p.body)
	}
	b.submit(p, "code", map[string]string{"code": b.code()}).want(200, "/cases/2")
}

func TestOneCodePassesOnceInARaceOfTwenty(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	first := g.browser()
	first.enrol(first.signIn(first.get("/cases/1"), "joe")).want(200, "/cases/1")
	code, err := totp.GenerateCode(first.secret, first.used.Add(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	const racers = 20
	var passed, done sync.WaitGroup
	results := make(chan bool, racers)
	start := make(chan struct{})
	for range racers {
		b := g.browser()
		p := b.signIn(b.get("/cases/2"), "joe").at("/challenge/totp")
		passed.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			passed.Done()
			<-start
			action, form := p.form("code")
			form.Set("code", code)
			results <- b.do(http.MethodPost, action, form).url.Path == "/cases/2"
		}()
	}
	passed.Wait()
	close(start)
	done.Wait()
	close(results)
	won := 0
	for ok := range results {
		if ok {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of %d got through with one code", won, racers)
	}
}

func TestTwoTabsGoOnToTheirOwnTargets(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	one, two := b.get("/cases/1?tab=1"), b.get("/cases/2?tab=2")
	p := b.signIn(one, "joe").atEnrolment()
	b.enrol(p).want(200, "/cases/1?tab=1")
	// The second tab's form is from before there was a session.
	b.signIn(two, "joe").want(200, "/cases/2?tab=2")
	b.get(two.url.String()).want(200, "/cases/2?tab=2")
}

func TestKindsOfRequestsAreAnsweredInTheirOwnWay(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	b := g.browser()
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	frame := func(r *http.Request) { r.Header.Set("Sec-Fetch-Dest", "iframe") }
	silent := func(r *http.Request) {
		for _, name := range []string{"Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-Site"} {
			r.Header.Del(name)
		}
		r.Header.Set("Accept", "*/*")
	}
	for _, row := range []struct {
		name   string
		page   *page
		status int
	}{
		{"navigation", b.get("/cases/1"), 303},
		{"navigation without fetch metadata", b.get("/cases/1", silent, func(r *http.Request) { r.Header.Set("Accept", "text/html") }), 303},
		{"fetch", b.get("/cases/1", fetch), 401},
		{"client that names no type", b.get("/cases/1", silent), 401},
		{"frame", b.get("/cases/1", frame), 401},
		{"POST navigation", b.do("POST", "/cases/1", url.Values{"a": {"1"}}), 303},
		{"denied", b.get("/debug/vars"), 403},
		{"malformed", b.get("/cases/%2e%2e/x"), 400},
		{"public", b.get("/assets/x"), 200},
	} {
		if row.page.status != row.status {
			t.Errorf("%s: status %d, want %d", row.name, row.page.status, row.status)
		}
	}
	p := b.get("/payments/9", fetch)
	if got, want := p.header.Get("WWW-Authenticate"), `Stepgate error="insufficient_user_authentication", acr_values="fresh_code", max_age=600`; got != want {
		t.Errorf("WWW-Authenticate: %s, want %s", got, want)
	}
	var problem struct {
		Levels       []string `json:"levels"`
		MaxAge       int      `json:"max_age_s"`
		ChallengeURL string   `json:"challenge_url"`
		Reference    string   `json:"reference"`
	}
	if err := json.Unmarshal([]byte(p.body), &problem); err != nil {
		t.Fatal(err)
	}
	if p.header.Get("Content-Type") != "application/problem+json" || problem.MaxAge != 600 || problem.Reference == "" || !cmp.Equal(problem.Levels, []string{"fresh_code"}) {
		t.Errorf("problem document: %s %+v", p.header.Get("Content-Type"), problem)
	}
	if g.last().Line != "GET /assets/x" {
		t.Error("something else than the public path reached the upstream")
	}
}

func TestFreshnessRunsOutAndAPOSTThatIsNotKeptSaysThatNothingWasSent(t *testing.T) {
	g := startGateway(t, strings.Replace(walkSite, "stepgate {\n\t\tpolicy", "stepgate {\n\t\tkeep_requests off\n\t\tpolicy", 1), nil)
	g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/payments/1"), "joe")).want(200, "/payments/1")
	g.age(11 * time.Minute)
	b.get("/payments/1", fetch).want(401, "/payments/1")
	b.get("/cases/1").want(200, "/cases/1")
	g.last()
	p := b.do("POST", "/payments", url.Values{"amount": {"12"}}, func(r *http.Request) { r.Header.Set("Referer", b.base+"/payments/new?for=1") })
	p = b.submit(p.at("/challenge/totp"), "code", map[string]string{"code": b.code()})
	if !strings.Contains(p.body, "Nothing was sent") || !strings.Contains(p.body, `href="/payments/new?for=1"`) {
		t.Errorf("the page does not say that nothing was sent:\n%s", p.body)
	}
	if got := g.last(); got != nil {
		t.Errorf("the upstream got %s", got.Line)
	}
}

// waitFor polls for what becomes true by itself.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}

func TestGroupsAdmitTheirMembersOnly(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	g.addUser("ann", func(n *people.NewAccount) { n.Groups = []string{"admins"} })
	joe, ann := g.browser(), g.browser()
	joe.enrol(joe.signIn(joe.get("/cases/1"), "joe")).want(200, "/cases/1")
	p := joe.get("/admin/users")
	if p.status != 403 || p.marked("reference") == "" {
		t.Errorf("status %d, reference %q", p.status, p.marked("reference"))
	}
	ann.enrol(ann.signIn(ann.get("/admin/users"), "ann")).want(200, "/admin/users")
	if got := g.last().Header.Get("Remote-Groups"); got != "admins" {
		t.Errorf("Remote-Groups: %q", got)
	}
}

func TestSuspensionAndSignOutHoldAtOnce(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	joe := g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	other := g.browser()
	other.jar.SetCookies(mustParse(b.base), b.jar.Cookies(mustParse(b.base)))
	other.get("/cases/1").want(200, "/cases/1")
	p := b.submit(b.get("/.stepgate/sign-out"), "csrf_token", nil)
	if !strings.Contains(p.body, "signed out") {
		t.Errorf("not signed out:\n%s", p.body)
	}
	other.get("/cases/1").at("/sign-in")

	b.submit(b.signIn(b.get("/cases/1"), "joe"), "code", map[string]string{"code": b.code()}).want(200, "/cases/1")
	if _, err := active.Load().people.Suspend(t.Context(), people.Operator(), people.Who{ID: joe.ID}, "test"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return b.get("/cases/1").url.Path == "/.stepgate/sign-in" })
	p = b.signIn(b.get("/cases/1"), "joe").at("/sign-in")
	wrong := b.submit(b.get("/cases/1"), "username", map[string]string{"username": "nobody", "password": "x"}).at("/sign-in")
	if p.status != wrong.status {
		t.Errorf("a suspended account answers %d, an unknown one %d", p.status, wrong.status)
	}
}

func mustParse(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

func TestReloadKeepsSessionsAndARefusedOneChangesNothing(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	c := g.browser()
	half := c.get("/cases/5").at("/sign-in")
	before := active.Load()
	if err := g.tryLoad(strings.Replace(walkSite, "require mfa       /cases/*", "require phising_resistant /cases/*", 1)); err == nil ||
		!strings.Contains(err.Error(), "did you mean `phishing_resistant`") || !strings.Contains(err.Error(), "Caddyfile:") {
		t.Errorf("a wrong level: %v", err)
	}
	if active.Load() != before {
		t.Error("a refused configuration took over")
	}
	b.get("/cases/1").want(200, "/cases/1")
	g.load(strings.Replace(walkSite, "deny              /debug/*", "deny /debug/* /hidden/*", 1))
	if now := active.Load(); now == nil || now.store != before.store {
		t.Error("the store was opened anew by a reload")
	}
	b.get("/cases/1").want(200, "/cases/1")
	b.get("/hidden/x").want(403, "")
	c.secret, c.used = b.secret, b.used
	p := c.signIn(half, "joe").at("/challenge/totp")
	g.load(walkSite)
	c.submit(p, "code", map[string]string{"code": c.code()}).want(200, "/cases/5")
}

func TestOrganisationRequirementIsAskedForAtTheNextRequest(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
	if _, err := active.Load().people.EditOrganisation(t.Context(), people.Operator(), account.DefaultOrganisation, people.OrganisationRules{Require: new("mfa")}, ""); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return strings.HasPrefix(b.get("/").url.Path, "/.stepgate/enrol") })
	b.get("/assets/x").want(200, "/assets/x")
	if got := g.last(); got.Header.Get("Remote-User") != "" {
		t.Error("identity on a public path before the organisation's level is met")
	}
	b.enrol(b.get("/")).want(200, "/")
	b.get("/assets/x").want(200, "/assets/x")
	if got := g.last(); got.Header.Get("Remote-User") != "joe" {
		t.Error("no identity on a public path for somebody signed in")
	}
}
