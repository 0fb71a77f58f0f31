package caddymodule

import (
	"strings"
	"testing"
)

var (
	storyAnswers = map[string]string{
		"question_1": "question.first-teacher", "answer_1": "Mrs Llewellyn", "question_2": "question.first-street", "answer_2": "Heol y Bont",
		"question_3": "question.lost-thing", "answer_3": "a ring",
	}
	newPIN = map[string]string{"pin": devicePIN1, "pin_again": devicePIN1}
)

// register answers an invitation: the person has a number and a password then.
func (g *rig) register(name string) {
	g.t.Helper()
	g.invite(name)
	b := g.browser()
	p := b.submit(b.get(g.link("register", 1)), "action", map[string]string{"action": "begin"})
	p = b.submit(p, "code", map[string]string{"code": g.lastCode("texts.jsonl", 1), "action": "verify"})
	b.submit(p, "new_password", map[string]string{"new_password": password1}).at("/sign-in")
}

// textBack asks for a text message, of which it is the nth, and answers with it.
func (g *rig) textBack(b *browser, p *page, n int) *page {
	g.t.Helper()
	if _, form := p.form("code"); form == nil {
		p = b.submit(p, "action", map[string]string{"action": "send"})
	}
	return b.submit(p, "code", map[string]string{"code": g.lastCode("texts.jsonl", n), "action": "verify"})
}

// TestWhoHasRegisteredChoosesBetweenQuestionsAndAText is the story of the level
// risk_based for somebody with a number, on devices without scripts: the choice
// at each visit, and a PIN that was forgotten.
func TestWhoHasRegisteredChoosesBetweenQuestionsAndAText(t *testing.T) {
	// A password that was chosen today is risky, which is not what this is about.
	g := startGateway(t, strings.Replace(deviceSite, "raise mfa when risk high", "", 1), nil)
	g.register("joe")
	b := g.browser()
	// The number is proved once for all that the first visit walks through.
	p := g.textBack(b, b.signIn(b.get("/cases/1"), "joe").at("/challenge/sms"), 2).at("/enrol/security_questions")
	p = b.submit(b.submit(p, "answer_1", storyAnswers).at("/enrol/pin"), "pin", newPIN).at("/enrol/device")
	b.submit(p, "device", map[string]string{"device": "public"}).want(200, "/cases/1")

	later := g.browser()
	p = later.signIn(later.get("/cases/2"), "joe").at("/challenge")
	for _, way := range []string{"/challenge/security_questions", "/challenge/sms"} {
		later.choose(p, way)
	}
	p = g.textBack(later, later.choose(p, "/challenge/sms"), 3).at("/enrol/device")
	p = later.submit(p, "device", map[string]string{"device": "public"}).at("/challenge/pin")
	later.submit(p, "pin", map[string]string{"pin": devicePIN1}).want(200, "/cases/2")

	// Forgotten: the text that was answered a moment ago will do.
	forgot := g.browser()
	p = forgot.choose(forgot.signIn(forgot.get("/cases/3"), "joe"), "/challenge/sms")
	p = forgot.submit(g.textBack(forgot, p, 4), "device", map[string]string{"device": "public"}).at("/challenge/pin")
	p = forgot.choose(p, "/challenge/pin/forgot")
	forgot.submit(p, "pin", map[string]string{"pin": "847261", "pin_again": "847261"}).want(200, "/cases/3")

	last := g.browser()
	p = last.choose(last.signIn(last.get("/cases/4"), "joe"), "/challenge/security_questions")
	p = last.submit(last.submit(p, "answer_1", storyAnswers), "device", map[string]string{"device": "public"}).at("/challenge/pin")
	if old := last.submit(p, "pin", map[string]string{"pin": devicePIN1}); old.status != 400 {
		t.Errorf("the old PIN: %d at %s", old.status, old.url)
	}
	last.submit(p, "pin", map[string]string{"pin": "847261"}).want(200, "/cases/4")
}
