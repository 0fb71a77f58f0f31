package challenge

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// liveAnswers is the ceremony of pages of the app that ask for more without leaving.
type liveAnswers struct{ *Site }

// This file is for the script in the application's pages (package inject):
// how things stand with the session, and the two things that the script may
// have done to it. Neither gives anybody more than they have.

// live is what the script is told.
type live struct {
	SignedIn bool   `json:"signed_in"`
	Username string `json:"username,omitempty"`
	// Mark tells whether a page was made for this session.
	Mark string `json:"mark"`
	// ExpiresIn is how long the session lives if nothing more is heard of it,
	// EndsIn how long at the most; whole seconds, rounded down.
	ExpiresIn int64       `json:"expires_in_s"`
	EndsIn    int64       `json:"ends_in_s"`
	Proofs    []liveProof `json:"proofs"`
	// Token is for the script's own changes, and for no form of a page.
	Token string `json:"token,omitempty"`
	// Met tells whether the continuation that was asked about is.
	Met bool `json:"met,omitempty"`
	// C is the continuation of a request that would need more.
	C string `json:"c,omitempty"`
}

// liveProof is one proof; without Left it counts for as long as the session
// lives.
type liveProof struct {
	Factor policy.Factor `json:"factor"`
	Left   *int64        `json:"left_s,omitempty"`
}

// Live answers the script: GET tells, and keeps no session from idling out, as
// only what a person does may (SP 800-63B-4 §5.2); POST does what `action` says,
// `stay` or `drop`.
func (s *Site) Live() http.Handler {
	return s.Pages.Handle(s.Web, func(w http.ResponseWriter, r *http.Request) error {
		v, err := s.Sessions.Peek(r.Context(), r.Header, s.Place)
		if err == nil && v == nil {
			err = s.Sessions.Answers(r.Context())
		}
		if err != nil {
			return s.unavailable(err)
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPost:
			if v, err = (liveAnswers{s}).livePost(w, r, v); err != nil {
				return err
			}
		default:
			return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD, POST"}
		}
		answer, err := liveAnswers{s}.liveOf(r, v)
		if err != nil {
			return err
		}
		body, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		web.Harden(w.Header(), s.Web)
		w.Header().Set("Content-Type", "application/json")
		w.Write(append(body, '\n'))
		return nil
	})
}

// scriptBinding keeps the script's token from being one of a page's: a script
// of the application can read it.
func scriptBinding(v *session.Entry) string { return "script " + string(v.Session.ID) }

// livePost does what the script asks for.
func (s liveAnswers) livePost(w http.ResponseWriter, r *http.Request, v *session.Entry) (*session.Entry, error) {
	fields, err := web.ReadForm(w, r)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, nil // the session has ended, as the answer says
	}
	if err := s.Guard.Check(r, scriptBinding(v)); err != nil {
		return nil, err
	}
	switch fields.Get("action") {
	case "stay":
		return s.Sessions.Find(r.Context(), r.Header, s.Place)
	case "drop":
		return s.drop(w, r, v)
	default:
		return nil, &web.Fail{Status: http.StatusBadRequest, Err: errors.New("no such action")}
	}
}

// drop takes every proof but the sign-in's out of the session.
func (s liveAnswers) drop(w http.ResponseWriter, r *http.Request, v *session.Entry) (*session.Entry, error) {
	e := s.event(r, audit.ProofDropped, v)
	if err := s.Recorder.Record(r.Context(), e); err != nil {
		return nil, s.unavailable(err)
	}
	risen, err := s.Sessions.Raise(r.Context(), w, s.Place, v, func(row *session.Session) error {
		row.Proofs = signInProofs(row.Proofs)
		return nil
	})
	if errors.Is(err, session.ErrNotFound) {
		return v, nil // another tab has a newer identifier: the script asks again
	}
	if err != nil {
		return nil, s.unavailable(err)
	}
	return risen, nil
}

// signInProofs are those that a session began with: its password, or the
// passkey that stood in for one.
func signInProofs(proofs []policy.Proof) []policy.Proof {
	if i := slices.IndexFunc(proofs, func(p policy.Proof) bool { return p.Factor == policy.Password }); i >= 0 {
		return []policy.Proof{proofs[i]}
	}
	if len(proofs) == 0 {
		return nil
	}
	return []policy.Proof{slices.MinFunc(proofs, func(a, b policy.Proof) int { return a.At.Compare(b.At) })}
}

func (s liveAnswers) liveOf(r *http.Request, v *session.Entry) (live, error) {
	out := live{Proofs: []liveProof{}}
	if v != nil {
		now := s.Now()
		out.SignedIn, out.Username, out.Mark = true, v.Owner.Account.Username, v.Session.Mark()
		out.ExpiresIn = max(0, int64(s.Sessions.ExpiresIn(v).Seconds()))
		out.EndsIn = max(0, int64(v.Session.EndsAt.Sub(now).Seconds()))
		out.Token = s.Guard.Token(scriptBinding(v))
		for i, p := range v.Session.Proofs {
			if p.Once == "" {
				out.Proofs = append(out.Proofs, liveProof{p.Factor, s.left(v.Session.Proofs, i, now)})
			}
		}
	}
	query := r.URL.Query()
	if sealed := query.Get(continuationField); sealed != "" {
		c, err := ceremony.OpenContinuation(s.Sealer, s.Place.Origin, sealed, s.Now())
		out.Met = err == nil && v != nil && s.satisfied(v, c)
	}
	if target := query.Get("target"); target != "" && s.Ahead != nil {
		var err error
		if out.C, err = s.ahead(r, v, query.Get("method"), target); err != nil {
			return live{}, err
		}
	}
	return out, nil
}

// ahead makes the continuation of a request that is only thought of, where it
// would need more than there is.
func (s liveAnswers) ahead(r *http.Request, v *session.Entry, method, target string) (string, error) {
	needs, more := s.Ahead(r, v, method, target)
	if !more {
		return "", nil
	}
	c := ceremony.Continuation{
		ID: ceremony.NewID(), Kind: ceremony.Window, Target: target, Needs: needs, Policy: s.Policy.Fingerprint(), Method: method, At: s.Now().UTC(),
	}
	if len(target) > maxDescribed {
		c.Target = ""
	}
	return c.Seal(s.Sealer, s.Place.Origin)
}

// left is how long the proof at i goes on to count for what it counts for
// now: nil for as long as the session lives.
func (s liveAnswers) left(proofs []policy.Proof, i int, now time.Time) *int64 {
	others := slices.Delete(slices.Clone(proofs), i, i+1)
	counts := s.Policy.CountsFor(proofs[i], others, now)
	var least *int64
	for _, l := range s.Policy.Levels() {
		if l.MaxAge() == 0 || l.Once() || counts&l.Set() == 0 {
			continue
		}
		if seconds := int64((l.MaxAge() - now.Sub(proofs[i].At)).Seconds()); seconds > 0 && (least == nil || seconds < *least) {
			least = &seconds
		}
	}
	return least
}
