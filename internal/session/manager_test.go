package session

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/policy"
)

func TestFindOfAKnownSessionReadsNoStoreAndAllocatesNothing(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	before := f.shelf.reads
	allocs := testing.AllocsPerRun(100, func() {
		if f.find(h) == nil {
			t.Fatal("not found")
		}
	})
	if f.shelf.reads != before || allocs != 0 {
		t.Errorf("%d reads, %v allocations", f.shelf.reads-before, allocs)
	}
}

func TestCookieHasTheAttributesOfItsPrefix(t *testing.T) {
	f := newFixture(t)
	w := httptest.NewRecorder()
	if _, err := f.Begin(t.Context(), w, Beginning{Place: place, Owner: "joe"}); err != nil {
		t.Fatal(err)
	}
	line := w.Header().Get("Set-Cookie")
	for _, want := range []string{"__Host-stepgate=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(line, want) {
			t.Errorf("%s lacks %s", line, want)
		}
	}
	for _, unwanted := range []string{"Domain", "Expires", "Max-Age"} {
		if strings.Contains(line, unwanted) {
			t.Errorf("%s has %s", line, unwanted)
		}
	}
	for h := range f.shelf.rows {
		if strings.Contains(line, string(h[:])) {
			t.Error("the store keeps what the browser holds")
		}
	}
}

func TestAnotherSitesOrKeysCookieIsNobodys(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	other := place
	other.Origin = "https://other.example.gov"
	if e, err := f.Find(t.Context(), h, other); e != nil || err != nil {
		t.Errorf("found at another site: %v, %v", e, err)
	}
	other = place
	other.Sources = []string{"another"}
	if e, err := f.Find(t.Context(), h, other); e != nil || err != nil {
		t.Errorf("found where its source is none of the site's: %v, %v", e, err)
	}
	if g := newFixture(t); g.find(h) != nil {
		t.Error("found with another key")
	}
	twice := h.Clone()
	twice.Add("Cookie", h.Get("Cookie"))
	if f.find(twice) != nil {
		t.Error("a cookie sent twice was believed")
	}
}

func TestIdleAndAbsoluteLimitsAreTheServers(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	for range 20 {
		f.later(29 * time.Minute)
		if f.find(h) == nil {
			t.Fatal("a session in use idled out")
		}
	}
	f.later(31 * time.Minute)
	if f.find(h) != nil {
		t.Error("an idle session was found")
	}
	if len(f.shelf.rows) != 0 {
		t.Error("an idle session was left in the store")
	}
	more := f.limits.Load()
	undo := f.UseLimits(Limits{Idle: time.Hour, Absolute: more.Absolute, InMemory: more.InMemory, Grace: more.Grace})
	if f.find(h) != nil { // though the feed has not told of its end
		t.Error("a session that had ended came back with longer limits")
	}
	undo()
	_, h = f.begin()
	for range 25 {
		f.later(29 * time.Minute)
		f.find(h)
	}
	if f.find(h) != nil {
		t.Error("a session outlived its absolute limit")
	}
}

func TestPeekDoesNotKeepASessionFromIdlingOut(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	for range 4 {
		f.later(10 * time.Minute)
		if _, err := f.Peek(t.Context(), h, place); err != nil {
			t.Fatal(err)
		}
	}
	if f.find(h) != nil {
		t.Error("looking at a session kept it alive")
	}
}

func TestRaiseGivesANewIdentifierAndLeavesTheOldOneItsLevelsForTenSeconds(t *testing.T) {
	f := newFixture(t)
	e, old := f.begin()
	w := httptest.NewRecorder()
	add := func(s *Session) error {
		s.Proofs = append(s.Proofs, policy.Proof{Factor: policy.TOTP, Credential: "c", At: f.clock.now()})
		return nil
	}
	raised, err := f.Raise(t.Context(), w, place, e, add)
	if err != nil {
		t.Fatal(err)
	}
	if len(raised.Session.Proofs) != 2 || raised.Session.ID != e.Session.ID || raised.Session.Hash == e.Session.Hash {
		t.Errorf("raised: %+v", raised.Session)
	}
	if got := f.find(old); got == nil || len(got.Session.Proofs) != 1 {
		t.Errorf("the old identifier: %+v", got)
	} else if _, err := f.Raise(t.Context(), w, place, got, add); !errors.Is(err, ErrNotFound) {
		t.Errorf("a superseded session rose: %v", err)
	}
	if got := f.find(sent(w)); got == nil || len(got.Session.Proofs) != 2 {
		t.Errorf("the new identifier: %+v", got)
	}
	f.later(11 * time.Second)
	if f.find(old) != nil {
		t.Error("the old identifier outlived its overlap")
	}
	if f.find(sent(w)) == nil {
		t.Error("the new identifier ended with the old one")
	}
}

func TestAChangeElsewhereIsSeenWithTheFeed(t *testing.T) {
	f := newFixture(t)
	e, h := f.begin()
	f.shelf.EndSession(t.Context(), e.Session.ID) // by another node
	if f.find(h) == nil {
		t.Fatal("seen before the feed was heard: the test proves nothing")
	}
	f.hear()
	if f.find(h) != nil {
		t.Error("a session that another node ended was found")
	}
	_, h = f.begin()
	owner := f.shelf.owners["joe"]
	owner.Account.SuspendedAt = f.clock.now()
	f.shelf.owners["joe"] = owner
	f.shelf.tell(AccountChanged, "joe")
	f.hear()
	if f.find(h) != nil {
		t.Error("a suspended account's session was found")
	}
}

func TestAStoreThatIsLostIsTrustedForTheGraceAndNoLonger(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	_, unseen := f.begin()
	f.memory.clear()
	f.find(h)
	f.shelf.broken = errors.New("gone")
	f.clock.move(9 * time.Second)
	if f.find(h) == nil {
		t.Error("a known session was not trusted within the grace")
	}
	if _, err := f.Find(t.Context(), unseen, place); !errors.Is(err, ErrStore) {
		t.Errorf("an unknown session: %v", err)
	}
	f.clock.move(2 * time.Second)
	if _, err := f.Find(t.Context(), h, place); !errors.Is(err, ErrStore) {
		t.Errorf("after the grace: %v", err)
	}
	f.shelf.broken = nil
	f.hear()
	if f.find(h) == nil {
		t.Error("not found once the store was back")
	}
}

func TestCurrentFollowsASessionOverItsIdentifiers(t *testing.T) {
	f := newFixture(t)
	e, _ := f.begin()
	w := httptest.NewRecorder()
	if _, err := f.Raise(t.Context(), w, place, e, func(s *Session) error { s.Device = "private"; return nil }); err != nil {
		t.Fatal(err)
	}
	f.later(time.Minute)
	if now, err := f.Current(t.Context(), e); err != nil || now.Device != "private" {
		t.Errorf("%+v, %v", now, err)
	}
	f.shelf.EndSession(t.Context(), e.Session.ID)
	f.hear()
	if _, err := f.Current(t.Context(), e); !errors.Is(err, ErrNotFound) {
		t.Errorf("after the end: %v", err)
	}
}

func TestLastSeenIsWrittenAtMostOnceAMinute(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	for range 1100 { // a minute and fifty seconds
		f.later(100 * time.Millisecond)
		f.find(h)
	}
	if f.shelf.touches != 1 {
		t.Errorf("%d writes in less than two minutes", f.shelf.touches)
	}
}

func FuzzCookieValueFindsOneOrNone(f *testing.F) {
	for _, seed := range []string{"stepgate=a", "a=b; stepgate=a", "stepgate=a; stepgate=b", "stepgate=", "xstepgate=a", " stepgate=a ;;", "stepgate"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		value := cookieValue(http.Header{"Cookie": {line}}, "stepgate")
		if value != "" && strings.Count(line, "stepgate="+value) == 0 {
			t.Errorf("%q is not in %q", value, line)
		}
		if strings.Count(line, "stepgate=") == 0 && value != "" {
			t.Errorf("found %q in %q", value, line)
		}
	})
}

func TestReservedCoversEverySpellingOfTheGatewaysCookies(t *testing.T) {
	for name, want := range map[string]bool{
		"stepgate": true, "__Host-stepgate": true, "__host-STEPGATE": true, "stepgate-8443": true, "__Host-stepgate_visit": true,
		"stepgated": false, "mystepgate": false, "": false, "__Host-": false, "PHPSESSID": false,
	} {
		if Reserved(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
