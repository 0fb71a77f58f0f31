package challenge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/knowledge"
	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/policy"
)

// knowledgeRig has a level that wants the questions and the PIN.
func knowledgeRig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, func(k *rig) {
		hasher, err := password.NewHasher(password.Options{Cost: password.Cost{MemoryKiB: 16, Passes: 1, Lanes: 1}})
		if err != nil {
			t.Fatal(err)
		}
		text := func(_, key string) string { return key }
		k.offer(knowledge.NewPIN(k.ring, hasher, k.db), knowledge.NewQuestions(k.ring, hasher, k.db, nil, text))
		if k.Policy, err = policy.Compile(&policy.Config{
			Default: []string{"known"},
			Levels:  []policy.LevelConfig{{Name: "known", Accept: [][]policy.Factor{{policy.SecurityQuestions, policy.PIN}}, Enrol: []string{"security_questions", "pin"}}},
		}, policy.CompileOptions{}); err != nil {
			t.Fatal(err)
		}
	})
}

// levelDoor is door for a level of the site's own.
func (k *rig) levelDoor(b *browser, target, name string) string {
	k.t.Helper()
	level, _ := k.Policy.Level(name)
	w := httptest.NewRecorder()
	err := k.Begin(w, b.Request(http.MethodGet, target, nil), Interrupted{Visitor: b.visitor(), Target: target, Needs: level.Set(), Names: []string{name}})
	if err != nil {
		k.t.Fatal(err)
	}
	return w.Result().Header.Get("Location")
}

var rigAnswers = map[string]string{
	"question_1": "question.first-teacher", "answer_1": "Mrs Llewellyn", "question_2": "question.first-street", "answer_2": "Heol y Bont",
	"question_3": "question.lost-thing", "answer_3": "a ring",
}

func TestQuestionsAndPINAreEnrolledAndAskedForLater(t *testing.T) {
	k := knowledgeRig(t)
	k.person("joe")
	b := k.browser()
	page := b.signIn(k.levelDoor(b, "/cases/1", "known"), "joe")
	if !strings.HasSuffix(page.action, "/enrol/security_questions") {
		t.Fatalf("the level's own order begins at %q", page.at)
	}
	if wrong := b.send(page, map[string]string{"question_1": "question.first-teacher", "answer_1": "x"}); wrong.status != http.StatusBadRequest {
		t.Errorf("one short answer: %d", wrong.status)
	}
	page = b.send(page, rigAnswers)
	if wrong := b.send(page, map[string]string{"pin": "123456", "pin_again": "123456"}); wrong.status != http.StatusBadRequest || !strings.Contains(wrong.text, "harder to guess") {
		t.Errorf("a weak PIN: %d %q", wrong.status, wrong.text)
	}
	page = b.send(page, map[string]string{"pin": "593827", "pin_again": "593827"})
	if page.to != "/cases/1" {
		t.Fatalf("after enrolment at %q, led to %q: %q", page.at, page.to, page.text)
	}

	later := k.browser()
	page = later.signIn(k.levelDoor(later, "/cases/2", "known"), "joe")
	if strings.Contains(page.text, "made a device private") || !strings.Contains(page.text, "Ask for help") {
		t.Errorf("no level takes a private device, or no way on is named:\n%s", page.text)
	}
	if !strings.Contains(page.text, "first teacher") && !strings.Contains(page.text, "PIN") {
		t.Fatalf("asked %q", page.text)
	}
	for range 2 {
		if strings.HasSuffix(page.action, "/challenge/pin") {
			if wrong := later.send(page, map[string]string{"pin": "593828"}); wrong.status != http.StatusBadRequest {
				t.Errorf("a wrong PIN: %d", wrong.status)
			}
			page = later.send(page, map[string]string{"pin": "593 827"})
			continue
		}
		page = later.send(page, map[string]string{"answer_1": "MRS. LLEWELLYN", "answer_2": "heol-y-bont", "answer_3": "A ring"})
	}
	if page.to != "/cases/2" {
		t.Errorf("after the challenge at %q, led to %q: %q", page.at, page.to, page.text)
	}
}

func TestPagesOfKnowledgeRepeatNoAnswer(t *testing.T) {
	k := knowledgeRig(t)
	k.person("joe")
	b := k.browser()
	page := b.signIn(k.levelDoor(b, "/cases/1", "known"), "joe")
	again := b.send(page, map[string]string{"question_1": "question.first-teacher", "answer_1": "Mrs Llewellyn", "question_2": "question.first-teacher", "answer_2": "Heol y Bont"})
	if again.status != http.StatusBadRequest || strings.Contains(again.text, "Llewellyn") {
		t.Errorf("%d %q", again.status, again.text)
	}
	for name, values := range again.fields {
		if strings.HasPrefix(name, "answer") && values[0] != "" {
			t.Errorf("%s is filled in: %q", name, values)
		}
	}
}

// TestAFoundSessionDoesNotReplaceThePIN has a browser that somebody has left
// open: what was proved or chosen in it before lets nobody choose another PIN,
// and a proof lets them do it once.
func TestAFoundSessionDoesNotReplaceThePIN(t *testing.T) {
	const forgot = "/.stepgate" + forgottenPage
	k := knowledgeRig(t)
	k.person("joe")
	asked := func(b *browser, from, when string) sheet {
		t.Helper()
		page := b.open(from)
		if strings.Contains(page.text, `name="pin_again"`) || !strings.HasSuffix(page.action, "/challenge/security_questions") {
			t.Errorf("%s: nothing is asked before another PIN: %s\n%s", when, page.at, page.text)
		}
		return page
	}
	answers := map[string]string{"answer_1": "MRS. LLEWELLYN", "answer_2": "heol-y-bont", "answer_3": "A ring"}

	first := k.browser()
	page := first.signIn(k.levelDoor(first, "/cases/1", "known"), "joe")
	k.wait(time.Second)
	page = first.send(page, rigAnswers)
	k.wait(time.Second)
	first.send(page, map[string]string{"pin": "593827", "pin_again": "593827"})
	asked(first, forgot, "after the first visit")

	later := k.browser()
	door := k.levelDoor(later, "/cases/2", "known")
	page = later.signIn(door, "joe")
	k.wait(time.Second)
	page = later.send(page, answers)
	direct := later.open(linkTo(t, page, forgottenPage))
	if !strings.Contains(direct.text, `name="pin_again"`) {
		t.Errorf("on the way in, the questions are asked twice: %s\n%s", direct.at, direct.text)
	}
	k.wait(time.Second)
	asked(later, forgot, "while another page is open")
	if done := later.send(page, map[string]string{"pin": "593827"}); done.to != "/cases/2" {
		t.Fatalf("at %q, led to %q", done.at, done.to)
	}
	asked(later, linkTo(t, page, forgottenPage), "by the way that was gone")

	k.wait(time.Second)
	page = later.send(asked(later, forgot, "later"), answers)
	if !strings.Contains(page.text, `name="pin_again"`) {
		t.Fatalf("after the answers: %s\n%s", page.at, page.text)
	}
	k.wait(time.Second)
	later.send(page, map[string]string{"pin": "847261", "pin_again": "847261"})
	asked(later, forgot, "once it was replaced")
}
