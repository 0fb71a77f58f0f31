package legacytest

import (
	"crypto/tls"
	"errors"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sendMail is a client that upgrades where it can, signs in, and sends.
func sendMail(t *testing.T, m *Mail, password string) error {
	t.Helper()
	c, err := smtp.Dial(m.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if ok, _ := c.Extension("STARTTLS"); ok {
		if err := c.StartTLS(&tls.Config{ServerName: m.Host, RootCAs: m.Roots}); err != nil {
			return err
		}
	}
	if password != "" {
		if err := c.Auth(smtp.PlainAuth("", m.Account.Username, password, "127.0.0.1")); err != nil {
			return err
		}
	}
	if err := c.Mail("noreply@county.test"); err != nil {
		return err
	}
	if err := c.Rcpt("joe@county.test"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte("Subject: Hello\r\n\r\n123456\r\n")); err != nil {
		return err
	}
	return w.Close()
}

func codeOf(err error) int {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}

func TestMailKeepsWhatItTook(t *testing.T) {
	for name, o := range map[string]MailOptions{"TLS": {}, "plain": {WithoutTLS: true}} {
		t.Run(name, func(t *testing.T) {
			m := StartMail(t, o)
			if err := sendMail(t, m, m.Account.Password); err != nil {
				t.Fatal(err)
			}
			want := []Message{{
				From: "noreply@county.test", To: []string{"joe@county.test"},
				Data: "Subject: Hello\r\n\r\n123456\r\n", TLS: !o.WithoutTLS, HELO: "localhost",
			}}
			if diff := cmp.Diff(want, m.Wait(t, 1)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(want, m.Messages()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMailRefuses(t *testing.T) {
	m := StartMail(t, MailOptions{})
	if got := codeOf(sendMail(t, m, "wrong")); got != 535 {
		t.Errorf("wrong password: %d, want 535", got)
	}
	if got := codeOf(sendMail(t, m, "")); got != 502 {
		t.Errorf("no password: %d, want 502", got)
	}
	for _, code := range []int{450, 550} {
		m := StartMail(t, MailOptions{Refuse: code})
		if got := codeOf(sendMail(t, m, m.Account.Password)); got != code {
			t.Errorf("recipient: %d, want %d", got, code)
		}
		if n := len(m.Messages()); n != 0 {
			t.Errorf("%d messages kept", n)
		}
	}
}

func TestMailTakesNoPasswordInTheClear(t *testing.T) {
	m := StartMail(t, MailOptions{})
	c, err := smtp.Dial(m.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Hello("localhost"); err != nil {
		t.Fatal(err)
	}
	if ok, how := c.Extension("AUTH"); ok && strings.Contains(how, "PLAIN") {
		t.Error("AUTH PLAIN is offered before STARTTLS")
	}
}
