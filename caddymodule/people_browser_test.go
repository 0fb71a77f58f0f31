package caddymodule

import (
	"fmt"
	"strings"
	"testing"
)

// knownSite asks for questions and a PIN.
const knownSite = `{{site}} {
	stepgate {
		pages {
			name "The Portal"
			help "Call 0300 000 0000"
			language en cy
		}
		policy {
			level known {
				accept security_questions+pin
				enrol  security_questions pin
			}
			require known /cases/*
			default mfa
		}
	}
	reverse_proxy {{upstream}}
}
`

// newLooks are how the pages of this file are seen.
var newLooks = []looks{{1280, true, false}, {360, true, true}, {360, false, false}}

func TestAnInvitedPersonRegistersAndForgetsInABrowser(t *testing.T) {
	c := startChromium(t)
	site := strings.Replace(codesSite, "public            /public", "public            /public\n\t\t\trequire mfa /cases/*", 1)
	g := startGateway(t, site, nil)
	for i, l := range newLooks {
		name := fmt.Sprint("joe", i)
		g.inviteAt(name, fmt.Sprintf("+44770090060%d", i))
		texts := len(g.texts())
		b := c.profile(t, l).open(g.link("register", i+1)).says(name).shoot("register-link")
		b.press(submitButton).says("If the number is not the one you expect").shoot("register-code")
		b.fill("code", "000000").press(submitButton).shoot("register-code-wrong")
		b.fill("code", g.lastCode("texts.jsonl", texts+1)).press(submitButton).shoot("register-password")
		b.fill("new_password", "short").press(submitButton).says("at least 8").shoot("register-password-short")
		b.fill("new_password", newPassword).press(submitButton).at("/sign-in").says("Your account is ready").shoot("registered")

		b.open(g.url + "/.stepgate/reset-password").shoot("reset-ask")
		b.fill("username", name).press(submitButton).shoot("reset-asked")
		b.open(g.link("reset-password", i+1)).shoot("reset-link")
		b.press(submitButton).shoot("reset-code")
	}
}

func TestQuestionsAndPINInABrowser(t *testing.T) {
	c := startChromium(t)
	g := startGateway(t, knownSite, nil)
	for i, l := range newLooks {
		name := fmt.Sprint("joe", i)
		g.addUser(name)
		b := c.profile(t, l).open(g.url + "/cases/1").signIn(name).at("/enrol/security_questions").shoot("questions-choose")
		b.press(submitButton).shoot("questions-choose-empty")
		for n, key := range []string{"first-teacher", "first-street", "lost-thing"} {
			evaluate[string](b, fmt.Sprintf(`document.querySelector("[name=question_%d]").value = "question.%s"`, n+1, key))
			b.fill(fmt.Sprint("answer_", n+1), []string{"Llewellyn", "Heol y Bont", "a ring"}[n])
		}
		b.press(submitButton).at("/enrol/pin").shoot("pin-choose")
		b.fill("pin", "123456", "pin_again", "123456").press(submitButton).says("harder to guess").shoot("pin-choose-weak")
		b.fill("pin", "593827", "pin_again", "593827").press(submitButton).stands("/cases/1", "upstream GET")

		again := c.profile(t, l).open(g.url + "/cases/2").signIn(name)
		for range 2 {
			if strings.HasSuffix(again.url().Path, "/pin") {
				again.shoot("pin").fill("pin", "593827").press(submitButton)
				continue
			}
			again.shoot("questions").fill("answer_1", "llewellyn", "answer_2", "heol y bont", "answer_3", "a ring").press(submitButton)
		}
		again.stands("/cases/2", "upstream GET")
	}
}
