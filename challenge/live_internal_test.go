package challenge

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// live asks what the script asks, as a fetch of the same origin.
func (b *browser) live(query string, form url.Values) (live, *http.Response) {
	b.k.t.Helper()
	r := b.Request(http.MethodGet, "/.stepgate/live"+query, nil)
	if form != nil {
		r = b.Request(http.MethodPost, "/.stepgate/live", form)
	}
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Dest", "empty")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w := httptest.NewRecorder()
	b.k.Site.Live().ServeHTTP(w, r)
	answer := w.Result()
	b.Keep(answer)
	var out live
	if answer.StatusCode == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			b.k.t.Fatalf("%s: %v", w.Body, err)
		}
	}
	return out, answer
}

func TestTheScriptIsToldHowThingsStand(t *testing.T) {
	k := newRig(t, nil)
	k.person("joe")
	b := k.browser()
	if got, _ := b.live("", nil); got.SignedIn || got.Mark != "" || got.Token != "" {
		t.Errorf("nobody is told %+v", got)
	}
	b.signIn("/.stepgate/sign-in", "joe")
	got, _ := b.live("", nil)
	if !got.SignedIn || got.Username != "joe" || got.Mark != b.visitor().Session.Mark() || len(got.Proofs) != 1 || got.Proofs[0].Factor != policy.Password {
		t.Errorf("joe is told %+v", got)
	}
	if strings.Contains(got.Mark, string(b.visitor().Session.ID)) {
		t.Error("the mark names the session")
	}
}

func TestAskingKeepsNoSessionAliveAndStayingDoes(t *testing.T) {
	k := newRig(t, nil)
	k.person("joe")
	b := k.browser()
	b.signIn("/.stepgate/sign-in", "joe")
	first, _ := b.live("", nil)
	k.wait(time.Minute)
	if later, _ := b.live("", nil); later.ExpiresIn > first.ExpiresIn-60 {
		t.Errorf("asked, it lives %d s instead of %d", later.ExpiresIn, first.ExpiresIn-60)
	}
	if stayed, _ := b.live("", url.Values{"action": {"stay"}, "csrf_token": {first.Token}}); stayed.ExpiresIn < first.ExpiresIn-1 {
		t.Errorf("it stays for %d s, not %d", stayed.ExpiresIn, first.ExpiresIn)
	}
}

func TestTheScriptsTokenIsForItsOwnChangesOnly(t *testing.T) {
	k := newRig(t, nil)
	k.person("joe")
	b := k.browser()
	b.signIn("/.stepgate/sign-in", "joe")
	state, _ := b.live("", nil)
	page := k.Guard.Token("session " + string(b.visitor().Session.ID))
	for name, form := range map[string]url.Values{
		"no token":       {"action": {"drop"}},
		"a page's token": {"action": {"drop"}, "csrf_token": {page}},
		"another's":      {"action": {"drop"}, "csrf_token": {k.Guard.Token("script x")}},
	} {
		if _, answer := b.live("", form); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
	if _, answer := b.live("", url.Values{"action": {"nothing"}, "csrf_token": {state.Token}}); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown action: %s", answer.Status)
	}
	form := b.Request(http.MethodPost, "/.stepgate/sign-out", url.Values{"csrf_token": {state.Token}})
	w := httptest.NewRecorder()
	k.pages.ServeHTTP(w, form)
	if w.Code != http.StatusForbidden || b.visitor() == nil {
		t.Errorf("the script's token signs out: %d", w.Code)
	}
}

func TestDroppingLeavesTheSignIn(t *testing.T) {
	k := newRig(t, nil)
	k.person("joe")
	b := k.browser()
	b.signIn("/.stepgate/sign-in", "joe")
	entry := b.visitor()
	w := httptest.NewRecorder()
	if _, err := k.Sessions.Raise(t.Context(), w, k.Place, entry, func(row *session.Session) error {
		row.Proofs = append(row.Proofs, policy.Proof{Factor: policy.TOTP, Credential: "x", At: k.clock()})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.Keep(w.Result())
	state, _ := b.live("", nil)
	if len(state.Proofs) != 2 {
		t.Fatalf("%+v", state)
	}
	left, _ := b.live("", url.Values{"action": {"drop"}, "csrf_token": {state.Token}})
	if len(left.Proofs) != 1 || left.Proofs[0].Factor != policy.Password || left.Mark != state.Mark {
		t.Errorf("%+v", left)
	}
	if proofs := b.visitor().Session.Proofs; len(proofs) != 1 {
		t.Errorf("the session has %+v", proofs)
	}
}

func TestTheScriptIsToldWhatATargetNeeds(t *testing.T) {
	k := newRig(t, nil)
	mfa, err := k.Policy.Required([]string{policy.LevelMFA})
	if err != nil {
		t.Fatal(err)
	}
	k.Ahead = func(_ *http.Request, v *session.Entry, method, target string) (policy.LevelSet, bool) {
		return mfa, v != nil && method == "POST" && target == "/payments?x=1"
	}
	k.person("joe")
	b := k.browser()
	b.signIn("/.stepgate/sign-in", "joe")
	if got, _ := b.live("?method=GET&target=/payments?x=1", nil); got.C != "" {
		t.Errorf("a GET needs %+v", got)
	}
	got, _ := b.live("?method=POST&target="+url.QueryEscape("/payments?x=1"), nil)
	if got.C == "" {
		t.Fatalf("%+v", got)
	}
	if again, _ := b.live("?c="+got.C, nil); again.Met {
		t.Error("it is met before it is")
	}
	if page := b.open("/.stepgate/challenge?c=" + got.C); strings.Contains(page.at, "sign-in") {
		t.Errorf("it opens %s", page.at)
	}
}
