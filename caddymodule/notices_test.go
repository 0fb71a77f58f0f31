package caddymodule

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAPersonIsToldOfANewCredentialByEmail(t *testing.T) {
	head := strings.Replace(testHead, "\t\tstore sqlite", "\t\temail file mail.jsonl\n\t\tstore sqlite", 1)
	g := startGateway(t, head+walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.enrol(b.get(b.signIn(b.get("/cases/1"), "joe").url.String()))
	var sent string
	waitFor(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(g.dir, "mail.jsonl"))
		sent = string(text)
		return strings.Contains(sent, "Authenticator app")
	})
	for _, want := range []string{`"to":"joe@example.test"`, "was added to your account", "Account: joe", "If it was not"} {
		if !strings.Contains(sent, want) {
			t.Errorf("the mail lacks %q:\n%s", want, sent)
		}
	}
	if strings.Contains(sent, b.secret) {
		t.Errorf("the mail has the secret:\n%s", sent)
	}
}

// TestACredentialThatHasToWaitIsToldOnEveryChannel adds a mailbox on a text
// message's proof: it counts a day later for levels that texts do not meet,
// and the confirmed number and the account's address are told of it now.
func TestACredentialThatHasToWaitIsToldOnEveryChannel(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	b := g.browser()
	g.enrolPhone(b, "joe")
	p := b.get("/mail/1").at("/challenge/sms")
	p = b.submit(p, "action", map[string]string{"action": "send"})
	p = b.submit(p, "code", map[string]string{"code": g.lastCode("texts.jsonl", 2), "action": "verify"}).at("/enrol/email")
	p = b.submit(p, "email", map[string]string{"email": "new@example.test", "action": "send"})
	b.submit(p, "code", map[string]string{"code": g.lastCode("mails.jsonl", 1), "action": "verify"})
	const waits = "It counts for every page from"
	told := func(file, to string) bool {
		text, _ := os.ReadFile(filepath.Join(g.dir, file))
		return slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
			return strings.Contains(line, `"to":"`+to+`"`) && strings.Contains(line, waits)
		})
	}
	waitFor(t, func() bool { return told("texts.jsonl", "+447700900609") && told("mails.jsonl", "joe@example.test") })
	if told("mails.jsonl", "new@example.test") {
		t.Error("the new mailbox was told of itself")
	}
}
