package challenge

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// departures is the ceremony of people who sign in at an issuer.
type departures struct{ *Site }

// This file is for people who sign in at an issuer (sign_in oidc): the browser
// goes there, and comes back to a page of ours. What is remembered meanwhile is
// sealed in a cookie of that very browser, so that an answer which another
// browser brings belongs to nothing (RFC 9700 §4.7), and a stranger makes the
// gateway keep nothing.

const (
	departurePurpose = "departure"
	departureCookie  = "stepgate_away_"
	// departureTTL is how long somebody may take at the issuer.
	departureTTL = 15 * time.Minute
	// maxDepartures is how many tabs of a browser may be away at once.
	maxDepartures = 4
	// maxDeparture bounds a cookie's value, in bytes: browsers keep 4096 of
	// name, value and attributes together.
	maxDeparture = 3500
)

// departure is a browser that is away.
type departure struct {
	Source string                `json:"source"`
	State  []byte                `json:"state"`
	Goes   ceremony.Continuation `json:"goes"`
	At     time.Time             `json:"at"`
	// Place is the name of what the browser has put away (placeField).
	Place string `json:"place,omitempty"`
}

// away is a source on the sign-in page.
type away struct{ Source, Label string }

// elsewhere lists the sources that the sign-in page has a button for. Those of
// some domains' people are found by the name.
func (s departures) elsewhere() []away {
	var all []away
	for _, source := range s.Redirectors {
		if len(s.Domains[source.Name()]) > 0 {
			continue
		}
		all = append(all, away{source.Name(), labelOf(source)})
	}
	return all
}

// labelOf is what people call a source.
func labelOf(source signin.Redirector) string {
	if l, ok := source.(signin.Labelled); ok {
		return l.Label()
	}
	return source.Name()
}

// onlyElsewhere is the source that is the one way to sign in; nil where there
// are others.
func (s departures) onlyElsewhere() signin.Redirector {
	if len(s.Redirectors) == 1 && len(s.Passwords) == 0 && s.LoginPage == "" {
		return s.Redirectors[0]
	}
	return nil
}

func (s departures) redirector(name string) signin.Redirector {
	for _, source := range s.Redirectors {
		if source.Name() == name {
			return source
		}
	}
	return nil
}

// depart sends the browser to an issuer. fresh asks the person to sign in anew
// there.
func (s departures) depart(w http.ResponseWriter, r *http.Request, c ceremony.Continuation, source signin.Redirector, fresh bool) error {
	return s.departAs(w, r, c, source, signin.Departure{Fresh: fresh})
}

// departAs is depart with what else the issuer is told.
func (s departures) departAs(w http.ResponseWriter, r *http.Request, c ceremony.Continuation, source signin.Redirector, d signin.Departure) error {
	if shown, err := s.leaving(w, r, c, source); shown || err != nil {
		return err
	}
	key := rand.Text()
	d.Key, d.Callback, d.Language = key, logouts(s).callback(source), web.Language(r, s.Web)
	location, state, err := source.Depart(r.Context(), d)
	if err != nil {
		return &web.Fail{Status: http.StatusServiceUnavailable, Title: "elsewhere.down", Advice: "elsewhere.down.advice", Err: err}
	}
	value, err := s.sealDeparture(key, departure{Source: source.Name(), State: state, Goes: c, At: s.Now().UTC(), Place: placeOf(r)})
	if err != nil {
		return err
	}
	s.forgetDepartures(w, r, maxDepartures-1)
	s.setDeparture(w, key, value, int(departureTTL.Seconds()))
	web.Harden(w.Header(), s.Web)
	// An empty fragment, or the browser carries that of where the person was
	// going to the issuer (RFC 9110 §10.2.2).
	w.Header().Set("Location", location+"#")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// sealDeparture makes the cookie's value. A target too long for it is
// forgotten, and a page says so afterwards where it was to be returned to.
func (s departures) sealDeparture(key string, d departure) (string, error) {
	plain, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	sealed, err := s.Sealer.Seal(departurePurpose, plain, []byte(s.Place.Origin+" "+key))
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(sealed)
	if len(text) > maxDeparture && d.Goes.Target != "/" {
		d.Goes = d.Goes.WithoutTarget()
		return s.sealDeparture(key, d)
	}
	return text, nil
}

func (s departures) departureName(key string) string {
	name := departureCookie + key
	if s.Place.Secure {
		return "__Host-" + name
	}
	return name
}

func (s departures) setDeparture(w http.ResponseWriter, key, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: s.departureName(key), Value: value, Path: "/", MaxAge: maxAge,
		Secure: s.Place.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// forgetDepartures takes departures out of the browser until only so many are
// left. Which are older it cannot tell; browsers send older cookies first
// (RFC 6265 §5.4).
func (s departures) forgetDepartures(w http.ResponseWriter, r *http.Request, left int) {
	var keys []string
	for _, cookie := range r.Cookies() {
		if key, ok := strings.CutPrefix(cookie.Name, s.departureName("")); ok && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for len(keys) > left {
		s.setDeparture(w, keys[0], "", -1)
		keys = keys[1:]
	}
}

// takeDeparture reads the departure that a return belongs to.
func (s departures) takeDeparture(w http.ResponseWriter, r *http.Request) (departure, signin.Redirector, error) {
	key := r.URL.Query().Get("state")
	found := r.CookiesNamed(s.departureName(key))
	if key == "" || len(found) != 1 {
		return departure{}, nil, errNoDeparture
	}
	s.setDeparture(w, key, "", -1)
	var d departure
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(found[0].Value)
	if err != nil {
		return departure{}, nil, errNoDeparture
	}
	plain, err := s.Sealer.Open(departurePurpose, sealed, []byte(s.Place.Origin+" "+key))
	if err != nil || json.Unmarshal(plain, &d) != nil || s.Now().Sub(d.At) > departureTTL {
		return departure{}, nil, errNoDeparture
	}
	source := s.redirector(d.Source)
	if source == nil {
		return departure{}, nil, errNoDeparture
	}
	return d, source, nil
}

var errNoDeparture = errors.New("challenge: an issuer's answer that this browser did not ask for")

// arrive is the page that the issuer sends the browser back to. It is the one
// GET that may begin a session.
func (s departures) arrive(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET"}
	}
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	d, source, err := s.takeDeparture(w, r)
	if err != nil {
		// A reload, the back button, or somebody else's answer: whoever is
		// signed in goes on, everybody else begins again.
		if v != nil {
			return s.dispatch(w, r, v, s.continuation(r))
		}
		s.Recorder.Record(r.Context(), signIns(s).signInFailed(r))
		return signIns(s).signInPage(w, r, v, s.continuation(r), reply{status: http.StatusForbidden, errs: []web.FieldError{{Text: "error.elsewhere.lost"}}})
	}
	if source.Name() == JoinSource {
		return s.arriveJoined(w, r, v, d)
	}
	who, err := s.arrival(r, source, d)
	switch {
	case errors.Is(err, signin.ErrRefused):
		return s.refusedElsewhere(w, r, v, d, err)
	case err != nil:
		return &web.Fail{Status: http.StatusServiceUnavailable, Title: "elsewhere.down", Advice: "elsewhere.down.advice", Err: err}
	}
	entered, err := s.Enter(w, r, v, who)
	switch {
	case errors.Is(err, signin.ErrRefused):
		return s.refusedElsewhere(w, r, v, d, err)
	case err != nil:
		return s.unavailable(err)
	}
	return s.comeBack(w, r, entered, d)
}

// arriveJoined is arrive for a browser that comes from another site of the
// gateway.
func (s departures) arriveJoined(w http.ResponseWriter, r *http.Request, v *session.Entry, d departure) error {
	entered, err := joins(s).enter(w, r, v, d.State)
	switch {
	case errors.Is(err, signin.ErrRefused):
		return s.refusedElsewhere(w, r, v, d, err)
	case err != nil:
		return s.unavailable(err)
	}
	return s.comeBack(w, r, entered, d)
}

// arrival is who a browser that came back says it is.
func (s departures) arrival(r *http.Request, source signin.Redirector, d departure) (signin.Identity, error) {
	back := signin.Return{Callback: logouts(s).callback(source), State: d.State, Query: r.URL.Query()}
	if posts(source) {
		var err error
		if back.Answer, err = s.takeAnswer(r, source); err != nil {
			return signin.Identity{}, err
		}
	}
	return source.Arrive(r.Context(), back)
}

// refusedElsewhere shows the sign-in page to somebody whom the issuer, or the
// gateway after it, did not let in.
func (s departures) refusedElsewhere(w http.ResponseWriter, r *http.Request, v *session.Entry, d departure, why error) error {
	e := s.event(r, audit.LoginFail, nil)
	e.Factor, e.Reason, e.Reference = string(policy.Password), "refused-elsewhere", audit.NewReference()
	s.Recorder.Record(r.Context(), e)
	s.Report(e.Reference, why)
	return signIns(s).signInPage(w, r, v, d.Goes, reply{status: http.StatusForbidden, errs: []web.FieldError{{Text: "error.elsewhere"}}, place: d.Place})
}
