package challenge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/policy"
)

// tellingIssuer is a rigIssuer that says who has signed out there, and signs
// people out.
type tellingIssuer struct {
	*rigIssuer
	proved []string
}

func (i *tellingIssuer) Arrive(ctx context.Context, r signin.Return) (signin.Identity, error) {
	who, err := i.rigIssuer.Arrive(ctx, r)
	who.IssuerSession, who.Note, who.Proved = "session of "+r.Query.Get("state"), []byte("note of "+who.Username), i.proved
	return who, err
}

func (i *tellingIssuer) HearLogout(r *http.Request, _ string) (signin.Ended, error) {
	switch query, form := r.URL.Query(), r.PostForm; {
	case query.Get("iss") == "county":
		return signin.Ended{IssuerSession: query.Get("sid")}, nil
	case form.Get("logout_token") == "":
		return signin.Ended{}, signin.ErrNobody
	default:
		return signin.Ended{Subject: form.Get("logout_token")}, nil
	}
}

func (i *tellingIssuer) SignOut(_ context.Context, note []byte, back string) (string, error) {
	if i.down {
		return "", errors.New("down")
	}
	return "https://issuer.example/end?" + url.Values{"note": {string(note)}, "back": {back}}.Encode(), nil
}

func tellingRig(t *testing.T) (*rig, *tellingIssuer) {
	issuer := &tellingIssuer{rigIssuer: &rigIssuer{name: "local"}}
	return newRig(t, func(k *rig) {
		k.Redirectors, k.Passwords = []signin.Redirector{issuer}, nil
		k.Report = func(string, error) {}
	}), issuer
}

// in signs somebody in at the issuer.
func (i *tellingIssuer) in(b *browser, name string) (session string) {
	b.k.t.Helper()
	b.open(b.k.door(b, "/cases/1", "signed_in"))
	if home := b.arrives(back(i.last.Key, name)); home.to != "/cases/1" {
		b.k.t.Fatalf("led to %q", home.to)
	}
	return "session of " + i.last.Key
}

func (k *rig) issuerSays(method, query, token string) int {
	k.t.Helper()
	r := httptest.NewRequestWithContext(k.t.Context(), method, rigOrigin+"/.stepgate/oidc?"+query, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !k.FromIssuer("/oidc", r) {
		k.t.Fatalf("%s ?%s is taken for a browser's", method, query)
	}
	w := httptest.NewRecorder()
	k.HearIssuer("/oidc", w, r)
	return w.Code
}

func TestWhatTheIssuerSaysIsOverIsOver(t *testing.T) {
	k, issuer := tellingRig(t)
	k.person("joe")
	k.person("ann")
	one, two, ann := k.browser(), k.browser(), k.browser()
	session := issuer.in(one, "joe")
	issuer.in(two, "joe")
	issuer.in(ann, "ann")
	query := url.Values{"iss": {"county"}, "sid": {session}}.Encode()
	if code := k.issuerSays(http.MethodGet, query, ""); code != http.StatusOK || one.visitor() != nil || two.visitor() == nil {
		t.Errorf("a session that is named: %d, %v and %v", code, one.visitor(), two.visitor())
	}
	if code := k.issuerSays(http.MethodPost, "", "joe"); code != http.StatusOK || two.visitor() != nil || ann.visitor() == nil {
		t.Errorf("a person who is named: %d, %v and %v", code, two.visitor(), ann.visitor())
	}
	if code := k.issuerSays(http.MethodPost, "", "nobody"); code != http.StatusOK {
		t.Errorf("a stranger: %d", code)
	}
	if code := k.issuerSays(http.MethodPost, "", ""); code != http.StatusBadRequest {
		t.Errorf("nothing: %d", code)
	}
}

func TestSigningOutGoesOnWhereThePersonSignedIn(t *testing.T) {
	k, issuer := tellingRig(t)
	k.person("joe")
	b := k.browser()
	issuer.in(b, "joe")
	away := b.send(b.open("/.stepgate/sign-out"), nil)
	want := "https://issuer.example/end?" + url.Values{"note": {"note of joe"}, "back": {rigOrigin + "/.stepgate/sign-out"}}.Encode()
	if away.to != want || b.visitor() != nil {
		t.Errorf("sent to %q as %v, want %q", away.to, b.visitor(), want)
	}
	issuer.in(b, "joe")
	page := b.open("/.stepgate/sign-out")
	issuer.down = true
	if out := b.send(page, nil); out.status != http.StatusOK || b.visitor() != nil {
		t.Errorf("with an issuer that is down: %d as %v", out.status, b.visitor())
	}
}

// TestSigningOutOfAnotherSiteGoesOnToThePortalsIssuer has one site in both
// roles: it signs people in at an issuer, and a session of its own has come of
// such a sign-in.
func TestSigningOutOfAnotherSiteGoesOnToThePortalsIssuer(t *testing.T) {
	issuer := &tellingIssuer{rigIssuer: &rigIssuer{name: "county"}}
	k := newRig(t, func(k *rig) {
		join := &Join{From: rigOrigin, At: rigOrigin, Page: HandOverPage(rigOrigin, "/.stepgate"), Sealer: k.ring, Now: k.clock}
		k.Redirectors = []signin.Redirector{issuer, join}
		k.Report = func(string, error) {}
	})
	joe := k.person("joe")
	note, err := json.Marshal(origin{Source: "county", Note: []byte("note of joe")})
	if err != nil {
		t.Fatal(err)
	}
	in := func() *browser {
		b, w := k.browser(), httptest.NewRecorder()
		_, err := k.Sessions.Begin(t.Context(), w, session.Beginning{
			Place: k.Place, Owner: joe.ID, Source: JoinSource, Proofs: []policy.Proof{{Factor: policy.Password, At: k.clock()}},
			Tie: session.Tie{Root: "there", Note: note},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Keep(w.Result())
		return b
	}
	b := in()
	out := b.send(b.open("/.stepgate/sign-out"), nil)
	page, local := strings.CutPrefix(out.to, rigOrigin)
	if !local || !strings.HasPrefix(page, "/.stepgate/hand-over?out=") || b.visitor() != nil || strings.Contains(page, "note") {
		t.Fatalf("sent to %q as %v", out.to, b.visitor())
	}
	want := "https://issuer.example/end?" + url.Values{"note": {"note of joe"}, "back": {rigOrigin + "/.stepgate/sign-out"}}.Encode()
	if away := b.open(page); away.to != want {
		t.Errorf("the portal sends on to %q, want %q", away.to, want)
	}
	if again := b.open(page); again.status != http.StatusOK || strings.Contains(again.text, "issuer") {
		t.Errorf("a second time: %d to %q", again.status, again.to)
	}
	issuer.down = true
	b = in()
	out = b.send(b.open("/.stepgate/sign-out"), nil)
	if last := b.open(strings.TrimPrefix(out.to, rigOrigin)); last.status != http.StatusOK || b.visitor() != nil {
		t.Errorf("with an issuer that is down: %d as %v", last.status, b.visitor())
	}
}
