package challenge

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNobodyIsToldWhetherThereIsAnAccount asks for a new password of somebody
// and of nobody in turn: page, status and time are alike. Times are compared
// as a ratio of medians, so that a busy machine slows both.
func TestNobodyIsToldWhetherThereIsAnAccount(t *testing.T) {
	t.Parallel()
	k := newRig(t, func(k *rig) { k.linked(new(texts)) })
	var took [2][]time.Duration
	var said [2]string
	for i := range 5 {
		for who, name := range []string{"person" + string(rune('a'+i)), "nobody" + string(rune('a'+i))} {
			if who == 0 {
				k.person(name)
			}
			b := k.browser()
			page := b.open("/.stepgate/reset-password")
			begun := time.Now()
			answer := b.send(page, map[string]string{"username": name})
			took[who] = append(took[who], time.Since(begun))
			if answer.status != http.StatusOK || strings.Contains(answer.text, name) {
				t.Fatalf("%s: %d\n%s", name, answer.status, answer.text)
			}
			_, said[who], _ = strings.Cut(answer.text, "<main")
		}
		if said[0] != said[1] {
			t.Fatalf("the pages differ:\n%s\n%s", said[0], said[1])
		}
	}
	for who := range took {
		slices.Sort(took[who])
	}
	if ratio := float64(took[0][2]) / float64(took[1][2]); ratio < 0.8 || ratio > 1.25 {
		t.Errorf("somebody takes %.2f times as long as nobody: %s and %s", ratio, took[0], took[1])
	}
	if sent := k.waiting(); len(sent) != 5 {
		t.Errorf("%d links were sent to five people", len(sent))
	}
}
