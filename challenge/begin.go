package challenge

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// Interrupted is a request that does not meet its levels.
type Interrupted struct {
	// Visitor is whose session it came with, nil for nobody.
	Visitor *session.Entry
	// Target is the raw request target.
	Target string
	Needs  policy.LevelSet
	// Names are the levels' names, MaxAge the shortest of their ages or 0.
	Names     []string
	MaxAge    time.Duration
	Once      string
	Reference string
	// Kept is set for a request that was kept before and is begun again, and
	// KeptErr where it could not be redeemed.
	Kept    *kept.Request
	KeptErr error
	// Why is what the policy's author says of the rule, for the pages; empty
	// where nothing is said.
	Why string
	// Realm is set where a program could prove by a token what is needed: in
	// whose name it is asked for one.
	Realm string
}

// interruptions is how the different kinds of interrupted requests are answered.
type interruptions struct{ *Site }

// Begin answers a request that needs more than its session has, each kind of
// request in the way its sender understands (contract, section 4). It always
// answers; nothing reaches the upstream.
func (s *Site) Begin(w http.ResponseWriter, r *http.Request, i Interrupted) error {
	c := ceremony.Continuation{
		ID: ceremony.NewID(), Kind: ceremony.Return, Target: i.Target, Needs: i.Needs, Policy: s.Policy.Fingerprint(),
		Once: i.Once, Method: r.Method, Why: i.Why, At: s.Now().UTC(),
	}
	switch {
	case web.Framed(r):
		return interruptions{s}.beginFramed(w, r, i, c)
	case web.Navigation(r) && safe(r):
	case web.Navigation(r):
		var err error
		if c, err = (keeping{s}).keep(w, r, i, c); c.Kind == ceremony.Lost {
			drain(w, r)
		}
		switch {
		case errors.Is(err, kept.ErrTooLarge):
			return keeping{s}.tooLarge(w, r, i, c)
		case err != nil:
			return keeping{s}.over(w, r, i.Visitor, err, c.Target)
		}
	default:
		return interruptions{s}.beginElsewhere(w, i, c)
	}
	if s.LoginPage != "" && i.Visitor == nil {
		return appLogins{s}.toLoginPage(w, r, c)
	}
	door, err := s.Door(i.Visitor, c)
	if err != nil {
		return err
	}
	return web.Redirect(w, r, s.Web, door)
}

func safe(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

func (s interruptions) beginFramed(w http.ResponseWriter, r *http.Request, i Interrupted, c ceremony.Continuation) error {
	// Afterwards the whole window is not to show what was meant for the frame,
	// but the page around it: as a rule the one that the frame came from. Where
	// scripts run, the small page knows it.
	if c.Framed = safe(r); c.Framed && r.Header.Get("Referer") != "" {
		c.Target = s.referringPage(r.Header.Get("Referer"))
	}
	door, err := s.Door(i.Visitor, c)
	if err != nil {
		return err
	}
	return s.Kit.RenderFramed(w, r, s.Web, door, i.Reference)
}

// beginElsewhere answers scripts, programs and sub-resources: 401 with the levels
// (RFC 9470 §3) in a problem document (RFC 9457), never a page in the place of
// what they asked for. The address it names is for a window of its own.
func (s interruptions) beginElsewhere(w http.ResponseWriter, i Interrupted, c ceremony.Continuation) error {
	c.Kind = ceremony.Window
	if len(c.Target) > maxDescribed {
		c.Target = "" // it would only describe the request
	}
	door, err := s.Door(i.Visitor, c)
	if err != nil {
		return err
	}
	web.Problem{
		Status: http.StatusUnauthorized, Title: "More proof of identity is needed",
		Detail: "Open challenge_url in a browser window, then repeat the request.",
		Levels: i.Names, MaxAge: i.MaxAge, ChallengeURL: door, Method: c.Method, Once: c.Once != "", Reference: i.Reference, Realm: i.Realm,
	}.Write(w, s.Web)
	return nil
}

// referringPage is the page of this site that a form was on, or the front
// page. Only the path and query of a same-origin Referer are believed.
func (s interruptions) referringPage(referer string) string {
	rest, ok := strings.CutPrefix(referer, s.Place.Origin)
	if !ok || !web.SafePath(rest) || strings.HasPrefix(rest, s.Web.Path("/")) {
		return "/"
	}
	rest, _, _ = strings.Cut(rest, "#")
	return rest
}
