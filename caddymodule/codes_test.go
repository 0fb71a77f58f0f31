package caddymodule

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/policy"
)

// codesSite has both kinds of codes, written to files.
const codesSite = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
		sms file texts.jsonl
		email file mails.jsonl
	}
}
{{site}} {
	stepgate {
		policy {
			level text_only {
				accept sms
			}
			level mail_only {
				accept email
			}
			public            /public
			require text_only /text/*
			require mail_only /mail/*
		}
	}
	reverse_proxy {{upstream}}
}
`

// noticeMark is in every e-mail that tells of a change to credentials: those
// come by themselves, a moment later, and are not counted among the codes.
const noticeMark = "If this was you, there is nothing to do."

// messages are those that the gateway wrote to a file in place of sending.
func (g *rig) messages(file string) (all []delivery.Message) {
	g.t.Helper()
	f, err := os.Open(filepath.Join(g.dir, file))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		g.t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var line struct{ Time, Channel, To, Subject, Body string }
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			g.t.Fatalf("%s: %v", in.Bytes(), err)
		}
		if _, err := time.Parse(time.RFC3339, line.Time); err != nil {
			g.t.Error(err)
		}
		if strings.Contains(line.Body, noticeMark) {
			continue
		}
		all = append(all, delivery.Message{Channel: line.Channel, To: line.To, Subject: line.Subject, Body: line.Body})
	}
	return all
}

func (g *rig) texts() []delivery.Message { return g.messages("texts.jsonl") }

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// lastCode is the code of the newest message, of which there are n.
func (g *rig) lastCode(file string, n int) string {
	g.t.Helper()
	all := g.messages(file)
	if len(all) != n {
		g.t.Fatalf("%d messages were sent, want %d", len(all), n)
	}
	return sixDigits.FindString(all[n-1].Body)
}

func mobile(number string) func(*people.NewAccount) {
	return func(n *people.NewAccount) { n.Mobile = number }
}

// enrolPhone walks a new person through the enrolment of their phone.
func (g *rig) enrolPhone(b *browser, name string) *page {
	g.t.Helper()
	p := b.signIn(b.get("/text/1"), name).at("/enrol/sms")
	p = b.submit(p, "mobile", map[string]string{"mobile": "07700 900609", "action": "send"}).want(200, "").at("/enrol/sms")
	return b.submit(p, "code", map[string]string{"code": g.lastCode("texts.jsonl", 1), "action": "verify"}).want(200, "/text/1")
}

func TestAPhoneIsEnrolledAndAskedForAtTheNextSignIn(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe", mobile("+447700900609"))
	b := g.browser()
	p := b.signIn(b.get("/text/1"), "joe").want(200, "").at("/enrol/sms")
	if !strings.Contains(p.body, `value="&#43;447700900609"`) || !strings.Contains(p.body, `autocomplete="tel"`) {
		t.Errorf("the account's number does not stand in the form:\n%s", p.body)
	}
	b.get(p.url.String())
	if sent := g.texts(); len(sent) > 0 {
		t.Fatal("a page that was only shown sent something")
	}
	p = b.submit(p, "mobile", map[string]string{"mobile": "07700 900609", "action": "send"}).want(200, "").at("/enrol/sms")
	for _, want := range []string{"ending 609", `autocomplete="one-time-code"`, `inputmode="numeric"`, "10 minutes", `value="resend"`, "data-countdown"} {
		if !strings.Contains(p.body, want) {
			t.Errorf("%s is missing:\n%s", want, p.body)
		}
	}
	if strings.Contains(p.body, "900609") {
		t.Error("the page shows more of the number")
	}
	code := g.lastCode("texts.jsonl", 1)
	if want := "\n\n@localhost #" + code; !strings.HasSuffix(g.texts()[0].Body, want) || g.texts()[0].To != "+447700900609" {
		t.Errorf("sent %q to %s", g.texts()[0].Body, g.texts()[0].To)
	}
	b.submit(p, "code", map[string]string{"code": code[:3] + " " + code[3:], "action": "verify"}).want(200, "/text/1")

	second := g.browser()
	p = second.signIn(second.get("/text/2"), "joe").want(200, "").at("/challenge/sms")
	if code = g.lastCode("texts.jsonl", 2); !strings.Contains(p.body, `name="code"`) {
		t.Errorf("the sign-in sent a code and no page asks for it:\n%s", p.body)
	}
	second.get(p.url.String())
	second.submit(p, "code", map[string]string{"code": code}).want(200, "/text/2")
	if n := len(g.texts()); n != 2 {
		t.Errorf("%d texts were sent", n)
	}
	if info, err := os.Stat(filepath.Join(g.dir, "texts.jsonl")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestAMailboxIsEnrolled(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.signIn(b.get("/mail/1"), "joe").at("/enrol/email")
	p = b.submit(p, "email", map[string]string{"email": "joe@example.test", "action": "send"}).at("/enrol/email")
	if !strings.Contains(p.body, "j…@e….test") || !strings.Contains(p.body, "junk") {
		t.Errorf("the page does not say where to look:\n%s", p.body)
	}
	code := g.lastCode("mails.jsonl", 1)
	if sent := g.messages("mails.jsonl")[0]; sent.Subject == "" || strings.Contains(sent.Subject, code) || sent.Channel != "email" {
		t.Errorf("%s %q", sent.Channel, sent.Subject)
	}
	b.submit(p, "code", map[string]string{"code": code}).want(200, "/mail/1")
}

func TestACodeOfAnotherBrowserIsRefused(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	g.enrolPhone(g.browser(), "joe")
	one, two := g.browser(), g.browser()
	ofOne := one.signIn(one.get("/text/1"), "joe").at("/challenge/sms")
	codeOfOne := g.lastCode("texts.jsonl", 2)
	ofTwo := two.signIn(two.get("/text/1"), "joe").at("/challenge/sms")
	codeOfTwo := g.lastCode("texts.jsonl", 3)
	if codeOfOne != codeOfTwo {
		two.submit(ofTwo, "code", map[string]string{"code": codeOfOne}).want(400, "").at("/challenge/sms")
	}
	one.submit(ofOne, "code", map[string]string{"code": codeOfOne}).want(200, "/text/1")
	two.submit(ofTwo, "code", map[string]string{"code": codeOfTwo}).want(200, "/text/1")
	two.submit(ofTwo, "code", map[string]string{"code": codeOfTwo}) // spent; it may only lead on
}

func TestOneTextPassesOnceInARaceOfTwenty(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	g.enrolPhone(g.browser(), "joe")
	b := g.browser()
	p := b.signIn(b.get("/text/1"), "joe").at("/challenge/sms")
	code := g.lastCode("texts.jsonl", 2)
	action, form := p.form("code")
	form.Set("code", code)
	// What each got through with is told by the audit trail.
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { b.do(http.MethodPost, action, form) })
	}
	all.Wait()
	passed, err := active.Load().store.Events(t.Context(), audit.Query{Names: []audit.Name{audit.ChallengePassed}})
	if err != nil || len(passed) != 1 {
		t.Errorf("%d passed, %v", len(passed), err)
	}
	b.get("/text/1").want(200, "/text/1")
}

func TestAnotherCodeHasToWait(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.signIn(b.get("/text/1"), "joe")
	p = b.submit(p, "mobile", map[string]string{"mobile": "07700900609", "action": "send"})
	early := b.submit(p, "action", map[string]string{"action": "resend"})
	if wait := early.header.Get("Retry-After"); early.status != http.StatusTooManyRequests || wait == "" || len(wait) > 2 {
		t.Errorf("%d, Retry-After %q", early.status, wait)
	}
	early.at("/enrol/sms")
	if !strings.Contains(early.body, "You can try again in") {
		t.Errorf("it does not say when:\n%s", early.body)
	}
	b.submit(early, "code", map[string]string{"code": g.lastCode("texts.jsonl", 1)}).want(200, "/text/1")
}

func TestAddressesAreRefusedAtTheirField(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.signIn(b.get("/text/1"), "joe")
	for _, number := range []string{"", "+1 876 210 1234", "+44 7797 712345", "070 1234 5678", "020 7946 0000", "hello"} {
		refused := b.submit(p, "mobile", map[string]string{"mobile": number, "action": "send"}).want(400, "").at("/enrol/sms")
		if !strings.Contains(refused.body, `href="#mobile"`) || !strings.Contains(refused.body, `id="mobile-error"`) || number != "" && !strings.Contains(refused.body, `type="tel" value=`) {
			t.Errorf("%q:\n%s", number, refused.body)
		}
	}
	if len(g.texts()) > 0 {
		t.Error("something was sent")
	}
}

func TestAnotherNumberVoidsTheCodeOfTheFirst(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.signIn(b.get("/text/1"), "joe")
	sent := b.submit(p, "mobile", map[string]string{"mobile": "07700900609", "action": "send"})
	old := g.lastCode("texts.jsonl", 1)
	action, form := sent.form("code")
	form.Set("action", "new")
	p = b.do(http.MethodPost, action, form)
	p = b.submit(p, "mobile", map[string]string{"mobile": "07700900610", "action": "send"})
	newest := g.lastCode("texts.jsonl", 2)
	if old != newest {
		p = b.submit(p, "code", map[string]string{"code": old}).want(400, "").at("/enrol/sms")
	}
	b.submit(p, "code", map[string]string{"code": newest}).want(200, "/text/1")
	held, err := active.Load().store.Credentials(t.Context(), accountOf(t, "joe").ID)
	if err != nil || len(held) != 2 || held[0].Address != "+447700900610" || held[0].Label != "Phone ending 610" {
		t.Errorf("%+v, %v", held, err)
	}
}

func accountOf(t *testing.T, name string) account.Account {
	t.Helper()
	a, err := active.Load().store.AccountByUsername(t.Context(), account.LocalSource, name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFiveWrongCodesEndTheRightOne(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.signIn(b.get("/text/1"), "joe")
	p = b.submit(p, "mobile", map[string]string{"mobile": "07700900609", "action": "send"})
	code := g.lastCode("texts.jsonl", 1)
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	for range 5 {
		b.submit(p, "code", map[string]string{"code": wrong}).want(400, "")
	}
	if last := b.submit(p, "code", map[string]string{"code": code}); last.status != http.StatusTooManyRequests {
		t.Errorf("the right code after five wrong ones: %d at %s", last.status, last.url)
	}
	b.get("/text/1").at("/enrol/sms")
}

func TestAFactorWithoutItsProviderIsNotOffered(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/text/1"), "joe").at("/enrol/sms")
	g.load(strings.Replace(codesSite, "sms file texts.jsonl", "", 1))
	p := b.get("/text/1")
	if p.status != http.StatusForbidden || strings.Contains(p.body, `name="mobile"`) {
		t.Errorf("%d at %s", p.status, p.url)
	}
	g.load(codesSite)
	p = b.get("/text/1").at("/enrol/sms")
	b.submit(p, "mobile", map[string]string{"mobile": "07700900609", "action": "send"})
	g.lastCode("texts.jsonl", 1)
}

func TestARefusedConfigurationSendsNothing(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	b := g.browser()
	form := b.signIn(b.get("/text/1"), "joe")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	refused := strings.Replace(codesSite, "texts.jsonl", "refused.jsonl", 1) + "http://" + taken.Addr().String() + " {\n\trespond ok\n}\n"
	for range 4 { // Caddy starts its apps in any order
		if err := g.tryLoad(refused); err == nil {
			t.Fatal("two servers have one address")
		}
	}
	b.submit(form, "mobile", map[string]string{"mobile": "07700900609", "action": "send"}).want(200, "")
	g.lastCode("texts.jsonl", 1)
}

func TestADeadProviderIsSaidAndLetsTryAgain(t *testing.T) {
	g := startGateway(t, strings.Replace(codesSite, "sms file texts.jsonl", "sms file later/texts.jsonl", 1), nil)
	g.addUser("joe")
	b := g.browser()
	form := b.signIn(b.get("/text/1"), "joe")
	p := b.submit(form, "mobile", map[string]string{"mobile": "07700900609", "action": "send"})
	if p.status != http.StatusServiceUnavailable || strings.Contains(p.body, "no such file") {
		t.Fatalf("%d:\n%s", p.status, p.body)
	}
	if err := os.Mkdir(filepath.Join(g.dir, "later"), 0o700); err != nil {
		t.Fatal(err)
	}
	p = b.submit(form, "mobile", map[string]string{"mobile": "07700900609", "action": "send"}).want(200, "")
	b.submit(p, "code", map[string]string{"code": g.lastCode("later/texts.jsonl", 1)}).want(200, "/text/1")
}

// TestAFloodOfSignInsIsBounded lets 10 000 people who have signed in ask for
// a text each, from as many addresses: what is sent is what the budgets say.
func TestAFloodOfSignInsIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("ten thousand requests")
	}
	g := startGateway(t, strings.Replace(codesSite, "sms file", "codes {\n\t\tsms_per_month 250\n\t}\n\t\tsms file", 1), nil)
	g.browser().get("/public").want(200, "/public")
	sms := active.Load().factors.Find(policy.SMS).(factors.Enroller)
	const asked = 10_000
	scope := func(n int) factors.Scope {
		return factors.Scope{
			Account: account.Account{ID: account.ID(fmt.Sprintf("A%d", n))}, Session: fmt.Sprintf("S%d", n), Transaction: "T", Purpose: "step-up",
			Site: g.url, SiteName: "Portal", Now: time.Now().UTC(), Address: netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}),
		}
	}
	refused := 0
	ask := func(n int, held bool) {
		var err error
		number := fmt.Sprintf("+4474%08d", n*911%100_000_000)
		if held {
			c := account.Credential{ID: "C", Factor: "sms", Label: "Phone", Address: number}
			_, _, err = sms.Prepare(t.Context(), scope(n), []account.Credential{c}, nil, true)
		} else {
			_, _, err = sms.BeginEnrolment(t.Context(), scope(n), nil, nil, factors.Answer{Fields: map[string]string{"action": "send", "mobile": number}})
		}
		if err != nil {
			refused++
		}
	}
	begin := time.Now()
	for n := range asked / 2 {
		ask(n, false)
	}
	newcomers := len(g.texts())
	for n := asked / 2; n < asked; n++ {
		ask(n, true)
	}
	sent := len(g.texts())
	t.Logf("%d asked in %s: %d sent (%d of them before holders came), %d refused; at $0.05 a text that is $%.2f instead of $%.2f",
		asked, time.Since(begin).Round(time.Second), sent, newcomers, refused, float64(sent)*0.05, asked*0.05)
	if newcomers != 200 || sent != 250 || sent+refused != asked {
		t.Errorf("%d to newcomers and %d in all, want 200 and 250; %d refused", newcomers, sent, refused)
	}
}
