package caddymodule

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/web"
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

func TestANoticeIsInEveryLanguageOfTheSite(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{web: &web.Site{Name: "Y Porth", Languages: []string{"cy", "en"}, Zone: london}}
	n := challenge.Notice{Account: account.Account{Username: "joe"}, Credential: account.Credential{Label: "{account}"}, Site: "https://porth.example"}
	body := h.noticeBody(noticeTexts[challenge.NoticeEnrolled][1], n, time.Date(2026, 7, 1, 11, 0, 0, 0, time.UTC))
	cymraeg, english, both := strings.Cut(body, "\n----\n")
	if !both || !strings.Contains(cymraeg, "Cyfrif: joe\n") || !strings.Contains(english, "Account: joe\n") ||
		strings.Count(body, "2026-07-01 12:00\n") != 2 || !strings.Contains(cymraeg, "at eich cyfrif: {account}.") {
		t.Errorf("%s", body)
	}
	for key, words := range noticeTexts {
		for _, text := range append(words[:], noticeRest) {
			for _, language := range []string{"en", "cy"} {
				if text[language] == "" {
					t.Errorf("%s: %q is not in %s", key, text["en"], language)
				}
			}
		}
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
