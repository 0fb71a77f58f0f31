package smtp_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"net/mail"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/delivery/smtp"
	"github.com/stepgate/stepgate/internal/legacytest"
)

var message = delivery.Message{
	ID: "ID1", Channel: delivery.Email, To: "joe@example.test", Subject: "Your code for Pörtal",
	Body: "Your code is\n\n123456\n\nGrüße\n.\nend\n",
}

func options(m *legacytest.Mail) smtp.Options {
	return smtp.Options{
		Server: m.Addr, From: "The Portal <noreply@portal.example.gov>", Username: m.Account.Username, Password: m.Account.Password,
		Roots: m.Roots, TLS: smtp.StartTLS,
	}
}

func newSender(t *testing.T, o smtp.Options) *smtp.Sender {
	t.Helper()
	s, err := smtp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSendsOverSTARTTLSWithSignIn(t *testing.T) {
	m := legacytest.StartMail(t, legacytest.MailOptions{})
	o := options(m)
	o.Now = func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
	if err := newSender(t, o).Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	got := m.Wait(t, 1)[0]
	if got.From != "noreply@portal.example.gov" || len(got.To) != 1 || got.To[0] != message.To || !got.TLS {
		t.Errorf("envelope: %q to %q, TLS %v", got.From, got.To, got.TLS)
	}
	letter, err := mail.ReadMessage(strings.NewReader(got.Data))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"From": `"The Portal" <noreply@portal.example.gov>`, "To": "<joe@example.test>", "Message-Id": "<ID1@portal.example.gov>",
		"Date": "Sun, 01 Mar 2026 12:00:00 +0000", "Auto-Submitted": "auto-generated", "User-Agent": "", "X-Mailer": "",
	} {
		if got := letter.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if kind := letter.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
		t.Errorf("content type %q", kind)
	}
	body, _ := io.ReadAll(letter.Body)
	if !strings.Contains(string(body), "123456") || strings.Contains(letter.Header.Get("Subject"), "123456") {
		t.Errorf("body: %s", body)
	}
}

func TestRefusedAddressesAreToldApart(t *testing.T) {
	for status, want := range map[int]error{550: delivery.ErrRefused, 450: delivery.ErrTemporary} {
		m := legacytest.StartMail(t, legacytest.MailOptions{Refuse: status})
		err := newSender(t, options(m)).Send(t.Context(), message)
		if !errors.Is(err, want) || strings.Contains(err.Error(), "joe@") || !strings.Contains(err.Error(), "no such mailbox") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestOnlyTheAddressIsBlamedForTheAddress has what relays say, and whose fault
// it is.
func TestOnlyTheAddressIsBlamedForTheAddress(t *testing.T) {
	for says, c := range map[string]struct {
		status int
		want   error
	}{
		"5.1.1 <joe@example.test>: Recipient address rejected: User unknown":  {550, delivery.ErrRefused},
		"5.1.2 bad destination system":                                        {553, delivery.ErrRefused},
		"5.1.8 <noreply@portal.example.gov>: Sender address rejected":         {550, delivery.ErrPermanent},
		"5.7.1 <joe@example.test>: Relay access denied":                       {554, delivery.ErrPermanent},
		"5.2.2 mailbox full":                                                  {552, delivery.ErrPermanent},
		"5.5.2 <vm-17>: Helo command rejected: need fully-qualified hostname": {504, delivery.ErrPermanent},
		"No such user here":                                                   {550, delivery.ErrPermanent},
		"4.7.1 Greylisted":                                                    {451, delivery.ErrTemporary},
	} {
		m := legacytest.StartMail(t, legacytest.MailOptions{Refuse: c.status, Says: says})
		err := newSender(t, options(m)).Send(t.Context(), message)
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), "joe") || strings.Contains(err.Error(), "noreply") {
			t.Errorf("%s: %v", says, err)
		}
		last := says[strings.LastIndexByte(says, ' ')+1:]
		if !strings.Contains(err.Error(), last) || !strings.Contains(err.Error(), strconv.Itoa(c.status)) {
			t.Errorf("%s: the log has %v", says, err)
		}
	}
}

func TestAddressesBeyondASCII(t *testing.T) {
	umlaut := message
	umlaut.To = "joe@bücher.example"
	local := message
	local.To = "jörg@example.test"
	for name, c := range map[string]struct {
		m       delivery.Message
		offers  bool
		to      string
		utf8    bool
		refused bool
	}{
		"plain where it is offered":             {message, true, "joe@example.test", false, false},
		"a domain":                              {umlaut, false, "joe@xn--bcher-kva.example", false, false},
		"a domain where it is offered":          {umlaut, true, "joe@xn--bcher-kva.example", false, false},
		"before the @, where it is offered":     {local, true, "jörg@example.test", true, false},
		"before the @, where it is not offered": {local, false, "", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := legacytest.StartMail(t, legacytest.MailOptions{UTF8: c.offers})
			err := newSender(t, options(server)).Send(t.Context(), c.m)
			if c.refused {
				if !errors.Is(err, delivery.ErrRefused) || !strings.Contains(err.Error(), "SMTPUTF8") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := server.Wait(t, 1)[0]; got.To[0] != c.to || got.UTF8 != c.utf8 {
				t.Errorf("to %q, SMTPUTF8 %v", got.To, got.UTF8)
			}
		})
	}
}

func TestTheServerHearsAFullName(t *testing.T) {
	m := legacytest.StartMail(t, legacytest.MailOptions{})
	o := options(m)
	s := newSender(t, o)
	o.HELO = "gateway.example.gov"
	named := newSender(t, o)
	for i, c := range []struct {
		sender *smtp.Sender
		host   string
		want   string
	}{
		{s, "", "portal.example.gov"}, {s, "www.example.gov", "www.example.gov"}, {s, "192.0.2.1", "[192.0.2.1]"},
		{s, "2001:db8::1", "[IPv6:2001:db8::1]"}, {s, "bücher.example", "xn--bcher-kva.example"}, {named, "www.example.gov", "gateway.example.gov"},
	} {
		if c.host != "" {
			c.sender.Introduce(c.host)
		}
		if err := c.sender.Send(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		if got := m.Wait(t, i+1)[i].HELO; got != c.want {
			t.Errorf("%q: %q, want %q", c.host, got, c.want)
		}
	}
}

func TestWrongPasswordIsPermanentAndNotRepeated(t *testing.T) {
	m := legacytest.StartMail(t, legacytest.MailOptions{})
	o := options(m)
	o.Password = "wrong password"
	err := newSender(t, o).Send(t.Context(), message)
	if !errors.Is(err, delivery.ErrPermanent) || strings.Contains(err.Error(), "wrong password") || strings.Contains(err.Error(), o.Username) {
		t.Error(err)
	}
}

func TestWithoutTLSNothingIsSent(t *testing.T) {
	m := legacytest.StartMail(t, legacytest.MailOptions{WithoutTLS: true})
	if err := newSender(t, options(m)).Send(t.Context(), message); !errors.Is(err, delivery.ErrTemporary) || len(m.Messages()) > 0 {
		t.Error(err)
	}
}

func TestUnknownCertificateIsRefused(t *testing.T) {
	m := legacytest.StartMail(t, legacytest.MailOptions{})
	o := options(m)
	o.Roots = nil
	if err := newSender(t, o).Send(t.Context(), message); !errors.Is(err, delivery.ErrTemporary) || len(m.Messages()) > 0 {
		t.Error(err)
	}
}

func TestOnTheLoopbackAServerMayDoWithoutTLS(t *testing.T) {
	for name, c := range map[string]struct {
		tls    smtp.TLS
		server legacytest.MailOptions
		over   bool
	}{
		"asked for":               {smtp.None, legacytest.MailOptions{WithoutTLS: true}, false},
		"by itself":               {"", legacytest.MailOptions{WithoutTLS: true}, false},
		"TLS where it is offered": {"", legacytest.MailOptions{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := legacytest.StartMail(t, c.server)
			o := options(m)
			o.TLS, o.Roots = c.tls, nil
			if err := newSender(t, o).Send(t.Context(), message); err != nil {
				t.Fatal(err)
			}
			if got := m.Wait(t, 1)[0]; got.TLS != c.over {
				t.Errorf("TLS %v", got.TLS)
			}
		})
	}
}

func TestTLSFromTheFirstByte(t *testing.T) {
	m := legacytest.StartMail(t, legacytest.MailOptions{WithoutTLS: true})
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", m.Addr)
			if err != nil {
				in.Close()
				return
			}
			go func() { io.Copy(out, in); out.Close() }()
			go func() { io.Copy(in, out); in.Close() }()
		}
	}()
	o := options(m)
	o.Server, o.TLS, o.Roots = l.Addr().String(), smtp.Implicit, x509.NewCertPool()
	if err := newSender(t, o).Send(t.Context(), message); !errors.Is(err, delivery.ErrTemporary) || len(m.Messages()) > 0 {
		t.Errorf("an unknown certificate: %v", err)
	}
	o.Roots.AddCert(web.Certificate())
	if err := newSender(t, o).Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	m.Wait(t, 1)
}

func TestNobodyThereIsTemporary(t *testing.T) {
	s := newSender(t, smtp.Options{Server: legacytest.FreeAddr(t), From: "a@b.example"})
	if err := s.Send(t.Context(), message); !errors.Is(err, delivery.ErrTemporary) {
		t.Error(err)
	}
}

func TestASilentServerEndsWithTheContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	s := newSender(t, smtp.Options{Server: l.Addr().String(), From: "a@b.example"})
	if err := s.Send(ctx, message); !errors.Is(err, delivery.ErrTemporary) {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAHeaderCannotBeAdded(t *testing.T) {
	m := legacytest.StartMail(t, legacytest.MailOptions{})
	s := newSender(t, options(m))
	evil := message
	evil.Subject = "Your code\r\nBcc: other@example.test\r\n\r\nbody"
	if err := s.Send(t.Context(), evil); err != nil {
		t.Fatal(err)
	}
	letter, err := mail.ReadMessage(strings.NewReader(m.Wait(t, 1)[0].Data))
	if err != nil || letter.Header.Get("Bcc") != "" {
		t.Errorf("%v, %v", letter.Header, err)
	}
	evil = message
	evil.To = "joe@example.test>\r\nRCPT TO:<other@example.test"
	if err := s.Send(t.Context(), evil); !errors.Is(err, delivery.ErrRefused) {
		t.Error(err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]smtp.Options{
		"host and port":         {Server: "mail.example.gov", From: "a@b.example"},
		"mail.example.gov:587":  {Server: ":25", From: "a@b.example"},
		"from":                  {Server: "mail.example.gov:587"},
		"username and password": {Server: "mail.example.gov:587", From: "a@b.example", Username: "u"},
		"loopback":              {Server: "mail.example.gov:25", From: "a@b.example", TLS: smtp.None},
		"expected starttls":     {Server: "mail.example.gov:25", From: "a@b.example", TLS: "ssl"},
	} {
		if _, err := smtp.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error is %v", o, err)
		}
	}
}
