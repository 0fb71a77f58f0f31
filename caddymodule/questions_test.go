package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func ownQuestions(lang string, n int) string {
	line := lang
	for i := range n {
		line += fmt.Sprintf(` "%s question %d?"`, lang, i+1)
	}
	return line
}

func TestAnOperatorsOwnQuestionsAreAskedInEachLanguage(t *testing.T) {
	questions := "questions {\n" + ownQuestions("en", 12) + "\n" + ownQuestions("cy", 12) + "\n}\n"
	site := strings.NewReplacer("sms file texts.jsonl\n", questions, "policy {", "pages {\nlanguage en cy\n}\npolicy {").Replace(deviceSite)
	g := startGateway(t, site, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.signIn(b.get("/cases/1"), "joe").at("/enrol/security_questions")
	if !strings.Contains(p.body, "en question 12?") || strings.Contains(p.body, "first teacher") {
		t.Errorf("offered %s", p.body)
	}
	welsh := b.get(p.url.String(), func(r *http.Request) { r.Header.Set("Accept-Language", "cy") }).at("/enrol/security_questions")
	if !strings.Contains(welsh.body, "cy question 12?") || strings.Contains(welsh.body, "en question") {
		t.Errorf("offered in Welsh: %s", welsh.body)
	}
	b.submit(p, "answer_1", map[string]string{
		"question_1": "own-question.1", "answer_1": "Mrs Llewellyn", "question_2": "own-question.2", "answer_2": "Heol y Bont",
		"question_3": "own-question.12", "answer_3": "a ring",
	}).at("/enrol/pin")
}

func TestQuestionsThatCannotBeAskedAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		ownQuestions("en", 11):                                 "12 at least",
		ownQuestions("en", 12) + "\n" + ownQuestions("cy", 13): "in another language",
		ownQuestions("en", 12) + ` "EN question 3? "`:          "there before",
		"": "expected a language",
		ownQuestions("en", 12) + "\n" + ownQuestions("en", 12): "there twice",
	} {
		_, err := adaptText("{\nstepgate {\nquestions {\n"+text+"\n}\n}\n}\n", "Caddyfile")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
}
