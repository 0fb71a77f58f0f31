package caddymodule

import (
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/legacytest"
)

// withProviders is codesSite with other providers.
func withProviders(sms, email string) string {
	return strings.NewReplacer("sms file texts.jsonl", sms, "email file mails.jsonl", email).Replace(codesSite)
}

// mailServer runs a mail server and gives the Caddyfile's block for it, at
// another address where one is given.
func mailServer(t *testing.T, o legacytest.MailOptions, address string) (*legacytest.Mail, string) {
	t.Helper()
	m := legacytest.StartMail(t, o)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, m.RootsPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STEPGATE_TEST_MAIL_PASSWORD", m.Account.Password)
	if address == "" {
		address = m.Addr
	}
	return m, "email smtp " + address + ` {
			from noreply@portal.example.gov
			username ` + m.Account.Username + `
			password {env.STEPGATE_TEST_MAIL_PASSWORD}
			tls starttls
			ca_file ` + ca + `
		}`
}

// codeIn is the code of a mail as it arrived.
func codeIn(t *testing.T, m legacytest.Message) string {
	t.Helper()
	letter, err := mail.ReadMessage(strings.NewReader(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	body := letter.Body
	if letter.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return sixDigits.FindString(string(text))
}

func TestACodeTravelsByAMailServer(t *testing.T) {
	m, block := mailServer(t, legacytest.MailOptions{}, "")
	g := startGateway(t, withProviders("sms file texts.jsonl", block), nil)
	g.addUser("joe")
	b := g.browser()
	p := b.signIn(b.get("/mail/1"), "joe")
	p = b.submit(p, "email", map[string]string{"email": "joe@example.test", "action": "send"}).want(200, "")
	got := m.Wait(t, 1)[0]
	if !got.TLS || got.From != "noreply@portal.example.gov" {
		t.Errorf("TLS %v, from %s", got.TLS, got.From)
	}
	b.submit(p, "code", map[string]string{"code": codeIn(t, got)}).want(200, "/mail/1")
}

func TestAMailboxThatDoesNotExistIsSaidAtTheField(t *testing.T) {
	_, block := mailServer(t, legacytest.MailOptions{Refuse: 550}, "")
	g := startGateway(t, withProviders("sms file texts.jsonl", block), nil)
	g.addUser("joe")
	b := g.browser()
	p := b.signIn(b.get("/mail/1"), "joe")
	p = b.submit(p, "email", map[string]string{"email": "nobody@example.test", "action": "send"}).want(400, "")
	if !strings.Contains(p.body, `href="#email"`) || strings.Contains(p.body, "550") {
		t.Errorf("got:\n%s", p.body)
	}
}

// TestAMailOutlivesARestart sends while the mail server is down, restarts the
// gateway, and lets the server come up.
func TestAMailOutlivesARestart(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the outbox to try again")
	}
	address := legacytest.FreeAddr(t)
	m, block := mailServer(t, legacytest.MailOptions{}, address)
	site := withProviders("sms file texts.jsonl", block)
	g := startGateway(t, site, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.signIn(b.get("/mail/1"), "joe")
	p = b.submit(p, "email", map[string]string{"email": "joe@example.test", "action": "send"}).want(200, "")
	if !strings.Contains(p.body, "on its way") {
		t.Fatalf("the page does not say that the mail will come:\n%s", p.body)
	}
	if err := stopGateway(); err != nil {
		t.Fatal(err)
	}
	forward(t, address, m.Addr)
	g.load(site)
	b.get("/public").want(200, "/public") // opens the store
	got := m.Wait(t, 1)[0]
	b.submit(p, "code", map[string]string{"code": codeIn(t, got)}).want(200, "/mail/1")
	codes := slices.DeleteFunc(m.Messages(), func(one legacytest.Message) bool { return strings.Contains(string(one.Data), noticeMark) })
	if len(codes) != 1 {
		t.Errorf("%d mails with codes arrived", len(codes))
	}
}

// forward lets an address lead to another, until cut or the test ends it and
// all that goes through it.
func forward(t *testing.T, from, to string) (addr string, cut func()) {
	t.Helper()
	l, err := net.Listen("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	open := []io.Closer{l}
	cut = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			c.Close()
		}
	}
	t.Cleanup(cut)
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			go func() { io.Copy(out, in); out.Close() }()
			go func() { io.Copy(in, out); in.Close() }()
		}
	}()
	return l.Addr().String(), cut
}

// TestAThrottledCarrierIsAskedAtMostThreeTimes has SNS refuse everything: one
// request for each text, and none once it is clear that it refuses.
func TestAThrottledCarrierIsAskedAtMostThreeTimes(t *testing.T) {
	asked := 0
	sns := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`)
	}))
	defer sns.Close()
	g := startGateway(t, withProviders("sms sns {\n\t\t\tregion eu-west-2\n\t\t\tendpoint "+sns.URL+"\n\t\t\taccess_key AKIDEXAMPLE\n\t\t\tsecret_key secret\n\t\t}", ""), nil)
	g.addUser("joe")
	b := g.browser()
	form := b.signIn(b.get("/text/1"), "joe")
	for range 5 {
		b.submit(form, "mobile", map[string]string{"mobile": "07700900609", "action": "send"}).want(http.StatusServiceUnavailable, "")
	}
	if asked != 3 {
		t.Errorf("the carrier was asked %d times, want 3", asked)
	}
	events, err := active.Load().store.Events(t.Context(), audit.Query{Names: []audit.Name{audit.SMSBlocked}})
	if err != nil || len(events) != 5 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, e := range events {
		if e.Event.Reason != "provider-not-now" || e.Event.Account != string(accountOf(t, "joe").ID) {
			t.Errorf("%+v", e.Event)
		}
	}
}
