package challenge

import (
	"encoding/json"
	"net/http"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// status is the JSON of the status endpoint (contract, section 4).
type status struct {
	SignedIn bool         `json:"signed_in"`
	Username string       `json:"username,omitempty"`
	Levels   []string     `json:"levels"`
	Factors  []factorAged `json:"factors"`
	Device   string       `json:"device"`
	// ExpiresIn is in whole seconds, rounded down.
	ExpiresIn int64 `json:"expires_in_s"`
}

type factorAged struct {
	Factor policy.Factor `json:"factor"`
	Age    int64         `json:"age_s"`
}

// Status tells scripts of the same origin what the session is good for. It
// does not keep the session from idling out.
func (s *Site) Status() http.Handler {
	return s.Pages.Handle(s.Web, func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"}
		}
		e, err := s.Sessions.Peek(r.Context(), r.Header, s.Place)
		if err != nil {
			return s.unavailable(err)
		}
		body, err := json.Marshal(s.statusOf(e))
		if err != nil {
			return err
		}
		web.Harden(w.Header(), s.Web)
		w.Header().Set("Content-Type", "application/json")
		w.Write(append(body, '\n'))
		return nil
	})
}

func (s *Site) statusOf(v *session.Entry) status {
	out := status{Levels: []string{}, Factors: []factorAged{}, Device: "unknown"}
	if v == nil {
		return out
	}
	now := s.Now()
	row := v.Session
	out.SignedIn = true
	out.Username = v.Owner.Account.Username
	out.Levels = append(out.Levels, s.Policy.MetNames(s.Policy.Met(row.Proofs, true, now))...)
	for _, p := range row.Proofs {
		out.Factors = append(out.Factors, factorAged{p.Factor, max(0, int64(now.Sub(p.At).Seconds()))})
	}
	if row.Device != "" {
		out.Device = row.Device
	}
	out.ExpiresIn = max(0, int64(s.Sessions.ExpiresIn(v).Seconds()))
	return out
}
