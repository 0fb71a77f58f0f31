package caddymodule

import (
	"os"
	"path/filepath"
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
