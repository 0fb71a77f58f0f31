package challenge

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// This file is for sites that let another site of the gateway, or of its
// cluster, sign people in (sign_in_at). The browser goes there with a sealed
// request, which only a holder of the same keys can have made, and comes back
// with a code. The code is a transaction of the store: used once, for a minute,
// by the site that it was made for, in the browser that holds the other half of
// its mark, as a code is with PKCE (RFC 7636 §4.6; RFC 9700 §2.1.1). No cookie is shared, and none is for a parent domain.

const (
	// JoinSource is the source of sessions that began at another site.
	JoinSource = "sign_in_at"

	joinPath      = "/joined"
	handOverPath  = "/hand-over"
	handOver      = "hand-over"
	handOverField = "t"
	// signOutField is for somebody whom another site has signed out, and who is
	// to be signed out at this one's issuer as well.
	signOut      = "sign-out there"
	signOutField = "out"
	// codeTTL is how long a code may take from one site to the other.
	codeTTL = time.Minute
)

// joinRequest is what one site asks of the other.
type joinRequest struct {
	From string `json:"from"` // the site that asks
	Back string `json:"back"` // its page to come back to
	Key  string `json:"key"`
	// Mark is the hash of what the browser holds sealed at the site that asks.
	Mark  string    `json:"mark"`
	Fresh bool      `json:"fresh,omitempty"`
	At    time.Time `json:"at"`
}

// handedOver is what a code stands for.
type handedOver struct {
	Mark   string         `json:"mark"`
	Root   session.ID     `json:"root"`
	Proofs []policy.Proof `json:"proofs"`
	// There is how the person signed in there.
	There origin `json:"there"`
}

// origin is what is needed to sign somebody out where the site that signed them
// in had sent them: its source, and what that source keeps for it. A session of
// another site has it as its note.
type origin struct {
	Source string `json:"source"`
	Note   []byte `json:"note,omitempty"`
}

func markOf(secret []byte) string {
	sum := sha256.Sum256(secret)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Join is the way to the site that signs people in for this one. It stands
// among the site's Redirectors.
type Join struct {
	// From is this site's origin, At the other's, and Page the absolute URL of
	// the other's page that hands people over.
	From, At, Page string
	Sealer         ceremony.Sealer
	Now            func() time.Time
}

var _ signin.Redirector = (*Join)(nil)

// HandOverPage is a site's page that hands people over, by its prefix.
func HandOverPage(origin, prefix string) string { return origin + prefix + handOverPath }

// Name implements signin.Source.
func (*Join) Name() string { return JoinSource }

// Label implements signin.Labelled: the other site's host.
func (j *Join) Label() string {
	if at, err := url.Parse(j.At); err == nil {
		return at.Host
	}
	return j.At
}

// Depart implements signin.Redirector.
func (j *Join) Depart(_ context.Context, d signin.Departure) (string, []byte, error) {
	secret := []byte(rand.Text())
	plain, err := json.Marshal(joinRequest{From: j.From, Back: d.Callback, Key: d.Key, Mark: markOf(secret), Fresh: d.Fresh, At: j.Now().UTC()})
	if err != nil {
		return "", nil, err
	}
	sealed, err := j.Sealer.Seal(handOver, plain, []byte(j.At))
	if err != nil {
		return "", nil, err
	}
	return j.Page + "?" + url.Values{handOverField: {base64.RawURLEncoding.EncodeToString(sealed)}}.Encode(), secret, nil
}

// Arrive implements signin.Redirector. Who comes back brings a session, not an
// identity: joins.enter takes it.
func (*Join) Arrive(context.Context, signin.Return) (signin.Identity, error) {
	return signin.Identity{}, signin.ErrRefused
}

// joins is what a site does for others that sign people in at it, and what
// such a site does itself.
type joins struct{ *Site }

// handOver sends somebody who is signed in here back to the site that asked,
// and lets everybody else sign in first.
func (s joins) handOver(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET"}
	}
	if out := r.URL.Query().Get(signOutField); out != "" {
		return s.passOn(w, r, out)
	}
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	asked, err := s.readRequest(r)
	if err != nil {
		return &web.Fail{Status: http.StatusForbidden, Title: "joined.lost", Advice: "joined.lost.advice", Err: err}
	}
	c := ceremony.Continuation{
		ID: ceremony.NewID(), Kind: ceremony.Return, Target: s.Web.Path(handOverPath) + "?" + r.URL.RawQuery, Policy: s.Policy.Fingerprint(), At: s.Now().UTC(),
	}
	switch {
	case v == nil:
		return s.goTo(w, r, "/sign-in", c)
	case asked.Fresh && !signedInSince(v, asked.At):
		return s.signInAnew(w, r, v, c)
	}
	code, err := s.makeCode(r.Context(), v, asked)
	if err != nil {
		return s.unavailable(err)
	}
	back := asked.Back + "?" + url.Values{"state": {asked.Key}, "code": {code}}.Encode() + "#"
	if !s.Web.FormsLeadTo(asked.From) {
		// Behind a form of ours browsers would stop a redirect to a site that only
		// another node's configuration has; a page leads anywhere.
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "onward", &onwardView{View: s.view(w, r, v), Site: asked.From, To: back})
	}
	web.Harden(w.Header(), s.Web)
	w.Header().Set("Location", back)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// onwardView is the view of onward.html.
type onwardView struct {
	web.View
	// Site is the origin that To, where the browser goes by itself, is at.
	Site, To string
}

// Refresh has the browser go on.
func (v *onwardView) Refresh() template.HTML { return refreshTo(v.To, 0) }

func signedInSince(v *session.Entry, at time.Time) bool {
	return slices.ContainsFunc(v.Session.Proofs, func(p policy.Proof) bool { return p.Factor == policy.Password && p.Once == "" && !p.At.Before(at) })
}

// signInAnew asks somebody who is signed in for the sign-in once more, in the
// way of their source.
func (s joins) signInAnew(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation) error {
	if source := departures(s).redirector(v.Session.Source); source != nil {
		return departures(s).depart(w, r, c, source, true)
	}
	if s.LoginPage != "" {
		return appLogins(s).toLoginPage(w, r, c)
	}
	return signIns(s).signInPage(w, r, v, c, reply{})
}

var errNotAsked = errors.New("challenge: no request of a site of this gateway's")

func (s joins) readRequest(r *http.Request) (asked joinRequest, err error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(r.URL.Query().Get(handOverField))
	if err != nil {
		return asked, errNotAsked
	}
	plain, err := s.Sealer.Open(handOver, sealed, []byte(s.Place.Origin))
	if err != nil || json.Unmarshal(plain, &asked) != nil || s.Now().Sub(asked.At) > departureTTL || !strings.HasPrefix(asked.Back, asked.From+"/") {
		return asked, errNotAsked
	}
	return asked, nil
}

// makeCode keeps what a person has proved here for the site that asked. Proofs
// for one request each stay here.
func (s joins) makeCode(ctx context.Context, v *session.Entry, asked joinRequest) (string, error) {
	given := handedOver{Mark: asked.Mark, Root: v.Session.ID, There: origin{Source: v.Session.Source}}
	note, err := s.Sessions.Store.SessionNote(ctx, v.Session.ID)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return "", err
	}
	given.There.Note = note
	for _, p := range v.Session.Proofs {
		if p.Once == "" {
			p.Form = ""
			if p.Site == "" {
				p.Site = s.Place.Origin
			}
			given.Proofs = append(given.Proofs, p)
		}
	}
	state, err := json.Marshal(given)
	if err != nil {
		return "", err
	}
	now := s.Now().UTC()
	stored, err := s.Store.OpenTransaction(ctx, ceremony.Transaction{
		ID: rand.Text(), Session: v.Session.ID, Key: handOver + " " + asked.From + " " + asked.Key + " " + rand.Text(), Actor: v.Owner.Account.ID, Subject: v.Owner.Account.ID,
		Site: asked.From, Purpose: handOver, State: state, CreatedAt: now, ExpiresAt: now.Add(codeTTL),
	}, now)
	return stored.ID, err
}

// enter begins the session of somebody who comes back with a code, with the
// proofs that they made there. signin.ErrRefused is for a code that is spent,
// too old, another site's or another browser's.
func (s joins) enter(w http.ResponseWriter, r *http.Request, v *session.Entry, secret []byte) (*session.Entry, error) {
	ctx, now := r.Context(), s.Now().UTC()
	code, err := s.Store.Transaction(ctx, r.URL.Query().Get("code"), now)
	if err == nil {
		err = s.Store.RedeemTransaction(ctx, code.ID, now)
	}
	if errors.Is(err, ceremony.ErrTransactionGone) {
		return nil, errors.Join(signin.ErrRefused, err)
	}
	if err != nil {
		return nil, err
	}
	var given handedOver
	if code.Purpose != handOver || code.Site != s.Place.Origin || json.Unmarshal(code.State, &given) != nil || given.Mark != markOf(secret) || len(given.Proofs) == 0 {
		return nil, errors.Join(signin.ErrRefused, errNotAsked)
	}
	owner, err := s.Store.Account(ctx, code.Subject)
	if err == nil {
		err = signIns(s).admissible(ctx, owner)
	}
	if err == nil {
		// Signed out there meanwhile, nobody arrives here.
		_, err = s.Sessions.Current(ctx, &session.Entry{Session: session.Session{ID: given.Root, Account: owner.ID}})
	}
	if errors.Is(err, account.ErrNotFound) || errors.Is(err, session.ErrNotFound) {
		return nil, errors.Join(signin.ErrRefused, err)
	}
	if err != nil {
		return nil, err
	}
	b := signIns(s).beginning(r, owner, given.Proofs...)
	note, err := json.Marshal(given.There)
	if err != nil {
		return nil, err
	}
	b.Source, b.Tie = JoinSource, session.Tie{Root: given.Root, Note: note}
	entered, err := signIns(s).admitSession(w, r, v, b)
	if errors.Is(err, account.ErrNotFound) {
		return nil, signin.ErrRefused
	}
	if err != nil {
		return nil, err
	}
	return entered, s.Recorder.Record(ctx, s.event(r, audit.LoginSuccess, entered))
}

// signOutAt is the page of the site that signed somebody in, from which they go
// on to be signed out where that site had sent them; "" where it had sent them
// nowhere. What it needs to know waits there for a minute.
func (s joins) signOutAt(ctx context.Context, at *Join, note []byte) (string, error) {
	var there origin
	if json.Unmarshal(note, &there) != nil || there.Note == nil {
		return "", nil
	}
	now := s.Now().UTC()
	waiting := ceremony.Transaction{
		ID: rand.Text(), Key: signOut + " " + rand.Text(), Site: at.At, Purpose: signOut, State: note, CreatedAt: now, ExpiresAt: now.Add(codeTTL),
	}
	if _, err := s.Store.OpenTransaction(ctx, waiting, now); err != nil {
		return "", err
	}
	return at.Page + "?" + url.Values{signOutField: {waiting.ID}}.Encode(), nil
}

// passOn sends somebody whom another site has signed out to where this one had
// sent them to sign in. Where that cannot be done they are told what has been.
func (s joins) passOn(w http.ResponseWriter, r *http.Request, id string) error {
	ctx, now := r.Context(), s.Now().UTC()
	waiting, err := s.Store.Transaction(ctx, id, now)
	if err == nil && (waiting.Purpose != signOut || waiting.Site != s.Place.Origin) {
		err = ceremony.ErrTransactionGone
	}
	if err == nil {
		err = s.Store.RedeemTransaction(ctx, waiting.ID, now)
	}
	if err != nil && !errors.Is(err, ceremony.ErrTransactionGone) {
		return s.unavailable(err)
	}
	var there origin
	if err != nil || json.Unmarshal(waiting.State, &there) != nil {
		return web.Redirect(w, r, s.Web, s.Web.Path("/sign-out"))
	}
	away := signOuts(s).endedThere(r, there.Source, there.Note)
	if away == "" {
		return web.Redirect(w, r, s.Web, s.Web.Path("/sign-out"))
	}
	web.Harden(w.Header(), s.Web)
	w.Header().Set("Location", away)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
