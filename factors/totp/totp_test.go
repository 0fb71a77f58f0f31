package totp

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// counters is a Steps in a map.
type counters struct {
	mu   sync.Mutex
	last map[account.CredentialID]int64
	down error
}

func (c *counters) ConsumeStep(_ context.Context, id account.CredentialID, step int64, _ time.Time) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down != nil {
		return false, c.down
	}
	if step <= c.last[id] {
		return false, nil
	}
	c.last[id] = step
	return true, nil
}

func newFactor() (*Factor, *counters) {
	steps := &counters{last: make(map[account.CredentialID]int64)}
	return &Factor{Steps: steps}, steps
}

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func scopeAt(now time.Time) factors.Scope {
	return factors.Scope{
		Account:  account.Account{ID: "id-joe", Username: "joe"},
		SiteName: "The Portal", RelyingParty: "portal.example.gov", Now: now,
	}
}

func held(ids ...account.CredentialID) []account.Credential {
	var all []account.Credential
	for _, id := range ids {
		seed := fmt.Sprintf("%-20s", "seed of "+string(id))
		all = append(all, account.Credential{ID: id, Account: "id-joe", Factor: "totp", Label: "App " + string(id), Secret: account.Secret(seed)})
	}
	return all
}

func code(t *testing.T, seed account.Secret, at time.Time) factors.Answer {
	t.Helper()
	c, err := codeAt(seed, stepAt(at))
	if err != nil {
		t.Fatal(err)
	}
	return answer(c)
}

func answer(code string) factors.Answer {
	return factors.Answer{Fields: map[string]string{"code": code}}
}

func TestVerifyAcceptsOneStepEitherSide(t *testing.T) {
	cs := held("a")
	for d := -3; d <= 3; d++ {
		f, _ := newFactor()
		_, err := f.Verify(t.Context(), scopeAt(noon), cs, nil, code(t, cs[0].Secret, noon.Add(time.Duration(d)*stepLength)))
		want := error(nil)
		if d < -1 || d > 1 {
			want = factors.ErrWrongAnswer
		}
		if !errors.Is(err, want) {
			t.Errorf("step %+d: %v", d, err)
		}
	}
}

func TestVerifyReturnsTheCredentialThatWasUsed(t *testing.T) {
	f, steps := newFactor()
	cs := held("a", "b")
	other := account.Credential{ID: "key", Factor: "webauthn", Secret: cs[0].Secret}
	got, err := f.Verify(t.Context(), scopeAt(noon), append([]account.Credential{other}, cs...), nil, code(t, cs[1].Secret, noon))
	if err != nil {
		t.Fatal(err)
	}
	want := cs[1]
	want.Counter, want.LastUsedAt = stepAt(noon), noon
	if diff := cmp.Diff(factors.Verified{Credential: want}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[account.CredentialID]int64{"b": stepAt(noon)}, steps.last); diff != "" {
		t.Error(diff)
	}
}

func TestVerifyRejectsReplayedStep(t *testing.T) {
	f, _ := newFactor()
	cs := held("a", "b")
	right := code(t, cs[0].Secret, noon)
	if _, err := f.Verify(t.Context(), scopeAt(noon), cs, nil, right); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Verify(t.Context(), scopeAt(noon.Add(stepLength)), cs, nil, right); !errors.Is(err, factors.ErrReplayed) {
		t.Errorf("the same code: %v", err)
	}
	earlier := code(t, cs[0].Secret, noon.Add(-stepLength))
	if _, err := f.Verify(t.Context(), scopeAt(noon), cs, nil, earlier); !errors.Is(err, factors.ErrReplayed) {
		t.Errorf("an earlier code: %v", err)
	}
	if _, err := f.Verify(t.Context(), scopeAt(noon), cs, nil, code(t, cs[0].Secret, noon.Add(stepLength))); err != nil {
		t.Errorf("the next code: %v", err)
	}
}

func TestOfParallelAnswersOnePasses(t *testing.T) {
	f, _ := newFactor()
	cs := held("a")
	right := code(t, cs[0].Secret, noon)
	var mu sync.Mutex
	passed := 0
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			_, err := f.Verify(t.Context(), scopeAt(noon), cs, nil, right)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				passed++
			case !errors.Is(err, factors.ErrReplayed):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if passed != 1 {
		t.Errorf("%d passed", passed)
	}
}

func TestVerifyRefusesWhatIsNoCode(t *testing.T) {
	f, steps := newFactor()
	for _, typed := range []string{"", "12345", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16"} {
		if _, err := f.Verify(t.Context(), scopeAt(noon), held("a"), nil, answer(typed)); !errors.Is(err, factors.ErrWrongAnswer) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	if len(steps.last) != 0 {
		t.Errorf("consumed %v", steps.last)
	}
}

func TestVerifyIsUnavailableWithoutCredentials(t *testing.T) {
	f, _ := newFactor()
	if _, err := f.Verify(t.Context(), scopeAt(noon), nil, nil, answer("123456")); !errors.Is(err, factors.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAnEmptySeedNeverPasses(t *testing.T) {
	f, _ := newFactor()
	cs := held("a", "b")
	cs[0].Secret = nil
	if _, err := f.Verify(t.Context(), scopeAt(noon), cs[:1], nil, answer("328482")); !errors.Is(err, errShortSeed) {
		t.Errorf("alone: %v", err)
	}
	if _, err := f.Verify(t.Context(), scopeAt(noon), cs, nil, answer("000000")); !errors.Is(err, factors.ErrWrongAnswer) {
		t.Errorf("a wrong guess beside it: %v", err)
	}
	if _, err := f.Verify(t.Context(), scopeAt(noon), cs, nil, code(t, cs[1].Secret, noon)); err != nil {
		t.Errorf("the right code of the other: %v", err)
	}
}

func TestAStoreThatIsDownIsNoWrongAnswer(t *testing.T) {
	f, steps := newFactor()
	steps.down = errors.New("down")
	cs := held("a")
	_, err := f.Verify(t.Context(), scopeAt(noon), cs, nil, code(t, cs[0].Secret, noon))
	if !errors.Is(err, steps.down) || errors.Is(err, factors.ErrWrongAnswer) || errors.Is(err, factors.ErrReplayed) {
		t.Errorf("got %v", err)
	}
}

func TestPrepareNamesTheOnlyApp(t *testing.T) {
	f, _ := newFactor()
	for want, cs := range map[string][]account.Credential{"App a": held("a"), "": held("a", "b")} {
		got, state, err := f.Prepare(t.Context(), scopeAt(noon), cs, nil, true)
		if err != nil || len(state) != 0 {
			t.Fatal(state, err)
		}
		if diff := cmp.Diff(factors.Prompt{Shape: factors.ShapeCode, Factor: policy.TOTP, Label: want, Digits: 6}, got); diff != "" {
			t.Error(diff)
		}
	}
}

// begin shows an enrolment page and returns what an app would have of it.
func begin(t *testing.T, f *Factor, now time.Time, state factors.State, action string) (account.Secret, factors.State) {
	t.Helper()
	prompt, next, err := f.BeginEnrolment(t.Context(), scopeAt(now), nil, state, factors.Answer{Fields: map[string]string{"action": action}})
	if err != nil {
		t.Fatal(err)
	}
	if prompt.Shape != factors.ShapeSecret || prompt.Factor != policy.TOTP || prompt.Digits != 6 {
		t.Errorf("prompt %+v", prompt)
	}
	if len(prompt.Secret) != 32 || !strings.Contains(prompt.SecretURI, "secret="+prompt.Secret+"&") {
		t.Errorf("secret %q, URI %q", prompt.Secret, prompt.SecretURI)
	}
	seed, err := base32.StdEncoding.DecodeString(prompt.Secret)
	if err != nil || len(seed) != 20 {
		t.Fatalf("%d bytes, %v", len(seed), err)
	}
	return seed, next
}

func TestEnrolmentShowsTheSameSeedUntilANewOneIsAskedFor(t *testing.T) {
	f, _ := newFactor()
	first, state := begin(t, f, noon, nil, "")
	again, state := begin(t, f, noon.Add(PendingTTL-time.Second), state, "")
	if string(again) != string(first) {
		t.Error("a reload changed the seed")
	}
	other, state := begin(t, f, noon, state, "new")
	if string(other) == string(first) {
		t.Error("the button gave the same seed")
	}
	if _, err := f.ConfirmEnrolment(t.Context(), scopeAt(noon), nil, state, code(t, first, noon)); !errors.Is(err, factors.ErrWrongAnswer) {
		t.Errorf("a code of the old seed: %v", err)
	}
	late, _ := begin(t, f, noon.Add(PendingTTL), state, "")
	if string(late) == string(other) {
		t.Error("an old seed was shown again")
	}
}

func TestSeedsAreDistinct(t *testing.T) {
	f, _ := newFactor()
	seen := make(map[string]bool)
	for range 100 {
		seed, _ := begin(t, f, noon, nil, "")
		seen[string(seed)] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d of 100", len(seen))
	}
}

func TestConfirmGivesACredentialWhoseFirstStepIsUsed(t *testing.T) {
	f, steps := newFactor()
	seed, state := begin(t, f, noon, nil, "")
	confirming := code(t, seed, noon.Add(stepLength))
	confirming.Fields["label"] = "  My \u202ephone\n"
	got, err := f.ConfirmEnrolment(t.Context(), scopeAt(noon), nil, state, confirming)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Secret.Reveal()) != string(seed) {
		t.Error("another seed")
	}
	want := account.Credential{Factor: "totp", Label: "My phone", Secret: seed, Counter: stepAt(noon) + 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got.ID = "a"
	steps.last["a"] = got.Counter
	if _, err := f.Verify(t.Context(), scopeAt(noon), []account.Credential{got}, nil, confirming); !errors.Is(err, factors.ErrReplayed) {
		t.Errorf("the same code as a proof: %v", err)
	}
}

func TestConfirmRefusesWrongLateAndForeignAnswers(t *testing.T) {
	f, _ := newFactor()
	seed, state := begin(t, f, noon, nil, "")
	for _, c := range []struct {
		name   string
		now    time.Time
		state  factors.State
		answer factors.Answer
		want   error
	}{
		{"wrong", noon, state, code(t, rfcSeed, noon), factors.ErrWrongAnswer},
		{"no code", noon, state, factors.Answer{}, factors.ErrWrongAnswer},
		{"two steps old", noon, state, code(t, seed, noon.Add(-2*stepLength)), factors.ErrWrongAnswer},
		{"too late", noon.Add(PendingTTL), state, code(t, seed, noon.Add(PendingTTL)), factors.ErrExpired},
		{"no state", noon, nil, code(t, seed, noon), errState},
		{"cut state", noon, state[:20], code(t, seed, noon), errState},
	} {
		got, err := f.ConfirmEnrolment(t.Context(), scopeAt(c.now), nil, c.state, c.answer)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if diff := cmp.Diff(account.Credential{}, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestCredentialsHaveNames(t *testing.T) {
	cs := held("a", "b")
	cs[0].Label, cs[1].Label = "Authenticator app", "Authenticator app 2"
	for _, c := range []struct {
		typed string
		held  []account.Credential
		want  string
	}{
		{"", nil, "Authenticator app"},
		{" \t", cs[:1], "Authenticator app 2"},
		{"", cs, "Authenticator app 3"},
		{"", cs[1:], "Authenticator app"},
		{"Tablet", cs, "Tablet"},
		{strings.Repeat("\u00e9", 61), nil, strings.Repeat("\u00e9", 60)},
	} {
		if got := name(c.typed, c.held, "en"); got != c.want {
			t.Errorf("%q: %q, want %q", c.typed, got, c.want)
		}
	}
}
