package gate

import (
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// namesPeople is a gate that can say who somebody is, and nothing else.
func namesPeople(tb testing.TB, names []IdentityHeader) *Handler {
	tb.Helper()
	ring, err := keys.Create(filepath.Join(tb.TempDir(), "key"), time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	compiled, err := policy.Compile(&policy.Config{}, policy.CompileOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	h := &Handler{Origin: "https://portal.example.gov", Policy: compiled, Names: names, Log: zap.NewNop()}
	h.live.Store(&Live{Ring: ring})
	return h
}

// person is one who is signed in, with a second factor.
func person(i int, now time.Time) *session.Entry {
	return &session.Entry{
		Session: session.Session{
			ID: session.ID(fmt.Sprint("SESSION", i)), EndsAt: now.Add(12 * time.Hour), CreatedAt: now,
			Proofs: []policy.Proof{{Factor: policy.Password, At: now}, {Factor: policy.TOTP, At: now, Credential: "one"}},
		},
		Owner: session.Owner{Account: account.Account{
			ID: account.ID(fmt.Sprint("ACCOUNT", i)), Username: fmt.Sprint("joe", i), Name: fmt.Sprint("Joe Bloggs ", i),
			Email: fmt.Sprint("joe", i, "@example.gov"), Groups: []string{"clerks", "users"}, Organisation: "courts",
		}},
	}
}

// namedAs is who somebody is, as of a moment.
func namedAs(t testing.TB, h *Handler, e *session.Entry, now time.Time) *identity {
	t.Helper()
	who, err := identities{h}.identify(visitor{entry: e, memo: visitors{h}.memo(e, now)}, now)
	if err != nil {
		t.Fatal(err)
	}
	return who
}

// derived is what somebody's requests leave with the session.
func derived(tb testing.TB, h *Handler, people []*session.Entry, now time.Time) (inUse, atRest int64) {
	tb.Helper()
	alive := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := alive()
	for _, e := range people {
		namedAs(tb, h, e, now)
	}
	inUse = (alive() - before) / int64(len(people))
	for _, e := range people {
		e.Memo.Load().(session.Fader).Fade(now.Add(assertionReuse))
	}
	atRest = (alive() - before) / int64(len(people))
	runtime.KeepAlive(people)
	return inUse, atRest
}

func crowd(n int, now time.Time) []*session.Entry {
	people := make([]*session.Entry, n)
	for i := range people {
		people[i] = person(i, now)
	}
	return people
}

// What is derived of a session is small while it is in use, and next to nothing
// once its assertion is too old.
func TestWhatIsDerivedOfASessionIsSmall(t *testing.T) {
	now := time.Now()
	inUse, atRest := derived(t, namesPeople(t, DefaultIdentity()), crowd(2000, now), now)
	if inUse > 1600 || atRest > 500 {
		t.Errorf("%d bytes in use, %d at rest", inUse, atRest)
	}
}

// BenchmarkDerived is what the gate keeps of a session between its requests,
// and the making of it.
func BenchmarkDerived(b *testing.B) {
	h, now := namesPeople(b, DefaultIdentity()), time.Now()
	inUse, atRest := derived(b, h, crowd(20_000, now), now)
	people := crowd(1000, now)
	for i := 0; b.Loop(); i++ {
		e := people[i%len(people)]
		namedAs(b, h, e, now.Add(time.Duration(i/len(people))*assertionReuse))
	}
	b.ReportMetric(float64(inUse), "bytes-in-use")
	b.ReportMetric(float64(atRest), "bytes-at-rest")
}

// An identity is the same for as long as it is good, and gone afterwards.
func TestAnIdentityServesForHalfAMinute(t *testing.T) {
	now := time.Now()
	h, e := namesPeople(t, DefaultIdentity()), person(1, now)
	first := namedAs(t, h, e, now)
	m := e.Memo.Load().(*memo)
	m.Fade(now.Add(assertionReuse - 1))
	if m.identity.Load() != first || namedAs(t, h, e, now.Add(assertionReuse-1)) != first {
		t.Error("an identity that is good was made anew")
	}
	m.Fade(now.Add(assertionReuse))
	if m.identity.Load() != nil {
		t.Error("an identity that is too old was kept")
	}
	if again := namedAs(t, h, e, now.Add(assertionReuse)); again == first || again.values[4] == first.values[4] {
		t.Error("an assertion that is too old was used")
	}
	e.Session.EndsAt = now.Add(10 * time.Second)
	short := namedAs(t, h, person(2, now), now)
	if namedAs(t, h, e, now.Add(2*assertionReuse)).until.After(e.Session.EndsAt) || !short.until.Equal(now.Add(assertionReuse)) {
		t.Error("an identity is good for longer than its session")
	}
}

// Where no header has the assertion, it is signed when it is asked for, and
// once.
func TestAnAssertionThatNoHeaderHasIsSignedWhenAskedFor(t *testing.T) {
	now := time.Now()
	h := namesPeople(t, DefaultIdentity()[:2])
	who := namedAs(t, h, person(1, now), now)
	if who.assertion != "" {
		t.Error("it was signed and nobody had asked")
	}
	first, _ := who.provide(AssertionPlaceholder)
	again, ok := who.provide(AssertionPlaceholder)
	if first != again || !ok || strings.Count(first.(string), ".") != 2 {
		t.Errorf("%q, then %q", first, again)
	}
	for placeholder, want := range map[string]any{
		"http.auth.user.id": "joe1", "http.stepgate.groups": "clerks,users", "http.stepgate.levels": "signed_in mfa",
		"http.stepgate.session": "SESSION1", "http.stepgate.organisation": "courts",
	} {
		if got, ok := who.provide(placeholder); got != want || !ok {
			t.Errorf("%s is %q, want %q", placeholder, got, want)
		}
	}
	if _, ok := who.provide("http.request.uri"); ok {
		t.Error("a placeholder of somebody else's was answered")
	}
}

func TestWithholdCookiesLeavesWhatIsNotOurs(t *testing.T) {
	for line, want := range map[string]string{
		"":                       "",
		"a=1; b=2":               "a=1; b=2",
		"__Host-stepgate=x":      "",
		"a=1; __Host-stepgate=x": "a=1",
		"stepgate-device=y; STEPGATE=x; a=1; b=2": "a=1; b=2",
		"stepgate=x; a=1; b=2; stepgate_y=z":      "a=1; b=2",
		"a=1; stepgate=x; b=2":                    "a=1; b=2",
		"a=1;stepgate=x;b=2;stepgate=y;c=3":       "a=1; b=2; c=3",
		"a=stepgate=x; b=2":                       "a=stepgate=x; b=2",
		" \"stepgate\"=x;a=1":                     "a=1",
	} {
		header := http.Header{"Cookie": {line}}
		m, room := new(memo), make([]string, 1)
		for range 2 {
			header["Cookie"] = []string{line}
			withholdKnownCookies(header, m, room)
			if got := header.Get("Cookie"); got != want || WithholdCookies(line) != want {
				t.Errorf("of %q %q is left, and %q; want %q", line, got, WithholdCookies(line), want)
			}
		}
		if kept := m.cookies.Load(); kept != nil && !strings.Contains(want, "; ") {
			t.Errorf("%q is remembered", line)
		}
	}
}

// A line that costs more memory than it saves time is not remembered.
func TestALongCookieLineIsNotRemembered(t *testing.T) {
	m := new(memo)
	if line := "a=1; stepgate=x; b=" + strings.Repeat("2", rememberedLine); m.between(line) != WithholdCookies(line) || m.cookies.Load() != nil {
		t.Error("a long line is remembered, or not withheld from")
	}
}

func BenchmarkWithholdKnownCookies(b *testing.B) {
	line := "PORTALSESSID=0123456789abcdef; theme=dark; __Host-stepgate=" + strings.Repeat("MTc2NDQ2", 20)
	header, m, room := http.Header{}, new(memo), make([]string, 1)
	lines := []string{line}
	b.ReportAllocs()
	for b.Loop() {
		header["Cookie"] = lines
		withholdKnownCookies(header, m, room)
	}
}
