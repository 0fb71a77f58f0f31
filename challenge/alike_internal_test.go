package challenge

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestNobodyIsToldWhetherThereIsAnAccount asks for a new password of somebody
// and of nobody in turn: page, status and time are alike. Times are compared
// as a ratio of the fastest, since other work on the machine slows and never
// hurries, in as many rounds as it takes to tell.
func TestNobodyIsToldWhetherThereIsAnAccount(t *testing.T) {
	t.Parallel()
	k := newRig(t, func(k *rig) { k.linked(new(texts)) })
	var fastest [2]time.Duration
	alike := func() bool {
		ratio := float64(fastest[0]) / float64(fastest[1])
		return ratio > 0.8 && ratio < 1.25
	}
	rounds := 0
	for ; rounds < 3 || rounds < 12 && !alike(); rounds++ {
		var said [2]string
		for who, name := range []string{"person" + string(rune('a'+rounds)), "nobody" + string(rune('a'+rounds))} {
			if who == 0 {
				k.person(name)
			}
			b := k.browser()
			page := b.open("/.stepgate/reset-password")
			begun := time.Now()
			answer := b.send(page, map[string]string{"username": name})
			took := time.Since(begun)
			if fastest[who] == 0 || took < fastest[who] {
				fastest[who] = took
			}
			if answer.status != http.StatusOK || strings.Contains(answer.text, name) {
				t.Fatalf("%s: %d\n%s", name, answer.status, answer.text)
			}
			_, said[who], _ = strings.Cut(answer.text, "<main")
		}
		if said[0] != said[1] {
			t.Fatalf("the pages differ:\n%s\n%s", said[0], said[1])
		}
	}
	if !alike() {
		t.Errorf("somebody takes %s, nobody %s", fastest[0], fastest[1])
	}
	if sent := k.waiting(); len(sent) != rounds {
		t.Errorf("%d links were sent to %d people", len(sent), rounds)
	}
}
