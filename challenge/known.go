package challenge

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

// This file is about browsers in which somebody has proved a second factor
// before. What strangers try elsewhere does not keep them from trying there
// (contract, section 8): such a browser is counted by itself, and gets no more
// than its own few tries.

const (
	knownCookie  = "stepgate_known"
	knownPurpose = "known browser"
	// maxMet bounds the cookie: a browser is known to so many names.
	maxMet = 5
)

// KnownTTL is how long a browser stays known after the last proof: the longest
// that a cookie of ours is kept, but for a private device's.
const KnownTTL = 90 * 24 * time.Hour

// acquaintances is what browsers know of those who signed in there.
type acquaintances struct{ *Site }

// acquaintance is what a browser carries, sealed: who signed in there.
type acquaintance struct {
	// Browser is what its tries are counted under, 128 random bits.
	Browser string `json:"b"`
	// Met are the names, the latest last.
	Met []met `json:"m"`
}

// met is one account under one name that was typed.
type met struct {
	Account account.ID `json:"a"`
	// Turn is what the browser shows where risk is scored (device.Shown).
	Turn uint64 `json:"t,omitempty"`
	// Name is a digest of the folded name, Proved when a second factor was
	// last proved, in unix seconds: 0 for never.
	Name   string `json:"n"`
	Proved int64  `json:"p"`
}

func (m met) known(now time.Time) bool { return now.Sub(time.Unix(m.Proved, 0)) < KnownTTL }

func nameDigest(typed string) string {
	sum := sha256.Sum256([]byte(account.FoldUsername(typed)))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

func (s acquaintances) knownName() string {
	if s.Place.Secure {
		return "__Host-" + knownCookie
	}
	return knownCookie
}

// acquaintance reads what the browser carries; nothing where it cannot be
// read, or is there twice.
func (s acquaintances) acquaintance(r *http.Request) acquaintance {
	var a acquaintance
	sent := r.CookiesNamed(s.knownName())
	if len(sent) != 1 {
		return a
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(sent[0].Value)
	if err != nil {
		return a
	}
	plain, err := s.Sealer.Open(knownPurpose, sealed, []byte(s.Place.Origin))
	if err != nil || json.Unmarshal(plain, &a) != nil {
		return acquaintance{}
	}
	return a
}

// shown is what the browser shows of an account where risk is scored.
func (s acquaintances) shown(r *http.Request, owner account.ID) device.Shown {
	a := s.acquaintance(r)
	shown := device.Shown{Browser: a.Browser}
	for _, m := range a.Met {
		if m.Account == owner {
			shown.Turn = max(shown.Turn, m.Turn)
		}
	}
	return shown
}

// turn lets the browser show another value of an account; 0 leaves it.
func (a *acquaintance) turn(owner account.ID, turn uint64) {
	for i := range a.Met {
		if a.Met[i].Account == owner && turn > 0 {
			a.Met[i].Turn = turn
		}
	}
}

// meet lets the browser remember a name that has signed in, and what it has to
// show. It is not known by that: whoever has the password can sign in as often
// as they like, and failures count per account (SP 800-63B-4 §3.2.2). No name was typed where another place has signed them in.
func (s acquaintances) meet(w http.ResponseWriter, r *http.Request, owner account.ID, typed string, turn uint64) {
	if typed == "" && turn == 0 {
		return
	}
	s.remember(w, r, rand.Text(), func(a *acquaintance) {
		name := nameDigest(typed)
		at := slices.IndexFunc(a.Met, func(m met) bool { return m.Account == owner && m.Name == name })
		switch {
		case typed == "":
		case at < 0:
			a.Met = append(a.Met, met{Account: owner, Name: name})
		default:
			a.Met = append(slices.Delete(slices.Clone(a.Met), at, at+1), a.Met[at])
		}
		a.turn(owner, turn)
	})
}

// acquaint makes the browser known: its session has proved a second factor.
func (s acquaintances) acquaint(w http.ResponseWriter, r *http.Request, owner account.Account, shown device.Shown) {
	s.remember(w, r, shown.Browser, func(a *acquaintance) {
		found := false
		for i := range a.Met {
			if a.Met[i].Account == owner.ID {
				a.Met[i].Proved, found = s.Now().Unix(), true
			}
		}
		if !found {
			a.Met = append(a.Met, met{Account: owner.ID, Name: nameDigest(owner.Username), Proved: s.Now().Unix()})
		}
		a.turn(owner.ID, shown.Turn)
	})
}

// remember changes what the browser carries. browser is its name if it has none
// yet.
func (s acquaintances) remember(w http.ResponseWriter, r *http.Request, browser string, change func(*acquaintance)) {
	a := s.acquaintance(r)
	if a.Browser == "" {
		a.Browser = browser
	}
	change(&a)
	for len(a.Met) > maxMet {
		oldest := max(0, slices.IndexFunc(a.Met, func(m met) bool { return !m.known(s.Now()) }))
		a.Met = slices.Delete(a.Met, oldest, oldest+1)
	}
	if len(a.Met) == 0 {
		http.SetCookie(w, &http.Cookie{Name: s.knownName(), Path: "/", MaxAge: -1, Secure: s.Place.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		return
	}
	plain, err := json.Marshal(a)
	if err != nil {
		return
	}
	sealed, err := s.Sealer.Seal(knownPurpose, plain, []byte(s.Place.Origin))
	if err != nil {
		return // the person signs in all the same
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.knownName(), Value: base64.RawURLEncoding.EncodeToString(sealed), Path: "/", MaxAge: int(KnownTTL.Seconds()),
		Secure: s.Place.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// forget takes away what a browser remembers of an account: it is one that
// others use as well.
func (s acquaintances) forget(w http.ResponseWriter, r *http.Request, owner account.ID) {
	if s.Scorer != nil {
		s.Scorer.Forget(r.Context(), owner, s.shown(r, owner))
	}
	s.remember(w, r, rand.Text(), func(a *acquaintance) {
		a.Met = slices.DeleteFunc(a.Met, func(m met) bool { return m.Account == owner })
	})
	// What cannot be written says nothing more either.
	_ = s.devices().Forget(w, r, owner)
}

// knownBrowser names the browser for the throttle if one of what it met is
// known and the one that is meant.
func (s acquaintances) knownBrowser(r *http.Request, meant func(met) bool) string {
	a := s.acquaintance(r)
	for _, m := range a.Met {
		if meant(m) && m.known(s.Now()) {
			return "browser " + a.Browser
		}
	}
	return ""
}

// typing is a password about to be compared, under the name as it was typed.
func (s acquaintances) typing(r *http.Request, username string) throttle.Try {
	name := nameDigest(username)
	return throttle.Try{
		Account: throttle.TypedName(account.FoldUsername(username)), Factor: string(policy.Password), Address: s.Address(r),
		Known: s.knownBrowser(r, func(m met) bool { return m.Name == name }),
	}
}

// known names for the throttle whatever has proved more than the sign-in
// alone gives: this session, or this browser at an earlier visit.
func (s acquaintances) known(r *http.Request, v *session.Entry) string {
	for _, p := range v.Session.Proofs {
		if p.Factor.Possession() {
			return "session " + string(v.Session.ID)
		}
	}
	return s.knownBrowser(r, func(m met) bool { return m.Account == v.Owner.Account.ID })
}
