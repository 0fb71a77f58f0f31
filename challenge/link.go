package challenge

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// This file is the ceremony behind a link that was sent to a person: an
// invitation, or a new password. They press a button (opening a link, as mail
// scanners do, changes nothing), prove a number or a second factor, and choose
// a password (SP 800-63B-4 §4.2.2: a code to one address alone recovers nothing
// that two factors protect). Until then the link's transaction is all that is
// written.

// linkState is what the transaction of a link remembers.
type linkState struct {
	// Visit is a digest of the browser in which the button was pressed. What
	// was proved there counts there alone.
	Visit string `json:"visit"`
	// Factor is what is being proved, State that factor's own.
	Factor policy.Factor `json:"factor,omitempty"`
	State  factors.State `json:"state,omitempty"`
	// Proved is the factor that was.
	Proved policy.Factor `json:"proved,omitempty"`
}

// link is one request of such a ceremony.
type link struct {
	s       *Site
	purpose string
	page    string
	t       ceremony.Transaction
	state   linkState
	owner   account.Account
	// ways are the factors of which one has to be proved; none where the
	// account has nothing but its address.
	ways []policy.Factor
	held map[policy.Factor][]account.Credential
	// second says that the account has a second factor, or gets one here.
	second bool
}

// links finds the ceremony behind the link of a message.
type links struct{ *Site }

// linkPage serves the page of a token, or says that there is no such page.
func (s links) linkPage(path string) (web.Handler, bool) {
	if s.People == nil {
		return nil, false
	}
	for _, purpose := range []string{ceremony.Register, ceremony.ResetPassword} {
		token, ok := strings.CutPrefix(path, "/"+purpose+"/")
		if ok && token != "" && !strings.Contains(token, "/") {
			return func(w http.ResponseWriter, r *http.Request) error { return s.serveLink(w, r, purpose, token) }, true
		}
	}
	return nil, false
}

func (s links) serveLink(w http.ResponseWriter, r *http.Request, purpose, token string) error {
	var fields map[string]string
	if r.Method == http.MethodPost {
		var err error
		if fields, err = s.post(w, r, nil); err != nil {
			return err
		}
	}
	l, err := s.openLink(r, purpose, token)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(s.Guard.Visit(w, r)))
	visit := base64.RawURLEncoding.EncodeToString(digest[:])
	begun := l.state.Visit == visit
	switch {
	case r.Method == http.MethodPost && fields["action"] == "begin":
		return l.begin(w, r, visit)
	case !begun:
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "link", &linkView{
			View: s.view(w, r, nil), Action: l.page, Purpose: purpose, Username: l.owner.Username, Texts: slices.Equal(l.ways, []policy.Factor{policy.SMS}),
		})
	case len(l.ways) > 0 && l.state.Proved == "":
		return l.prove(w, r, fields)
	default:
		return l.choosePassword(w, r, fields)
	}
}

// openLink finds the ceremony of a token. One that is unknown, over, used or
// another site's is 410.
func (s links) openLink(r *http.Request, purpose, token string) (*link, error) {
	ctx := r.Context()
	gone := &web.Fail{Status: http.StatusGone, Title: "link.gone.title", Advice: "link.gone." + purpose}
	t, err := s.Store.Transaction(ctx, ceremony.LinkID(purpose, token), s.Now())
	if errors.Is(err, ceremony.ErrTransactionGone) || err == nil && (t.Purpose != purpose || t.Site != s.Place.Origin) {
		return nil, gone
	}
	if err != nil {
		return nil, s.unavailable(err)
	}
	l := &link{s: s.Site, purpose: purpose, page: "/" + purpose + "/" + token, t: t}
	if len(t.State) > 0 {
		if err := json.Unmarshal(t.State, &l.state); err != nil {
			return nil, err
		}
	}
	l.owner, err = s.Store.Account(ctx, t.Subject)
	if errors.Is(err, account.ErrNotFound) || err == nil && l.owner.Suspended() {
		return nil, gone
	}
	if err != nil {
		return nil, s.unavailable(err)
	}
	return l, l.findWays(r)
}

// findWays lists what has to be proved: at a reset a second factor that is
// held, but no code by e-mail, which would come where the link came; where
// none is held, and at a registration, the number on the account.
func (l *link) findWays(r *http.Request) error {
	all, err := l.s.Store.Credentials(r.Context(), l.owner.ID)
	if err != nil {
		return l.s.unavailable(err)
	}
	l.held = map[policy.Factor][]account.Credential{}
	scope := l.scope(r)
	for _, c := range all {
		kind := policy.Factor(c.Factor)
		if l.second = l.second || kind.Possession(); !authorises(kind) || kind == policy.Email {
			continue
		}
		f := l.s.Factors.Find(kind)
		if sieve, ok := f.(factors.Sieve); f == nil || ok && !sieve.Usable(scope, c) {
			continue
		}
		l.held[kind] = append(l.held[kind], c)
	}
	if number := l.owner.Mobile; number != "" && !l.second && l.s.Factors.Find(policy.SMS) != nil {
		l.held[policy.SMS] = []account.Credential{{
			ID: contactCredential + account.CredentialID(policy.SMS), Account: l.owner.ID, Factor: string(policy.SMS), Label: number, Address: number,
		}}
		l.second = l.purpose == ceremony.Register
	}
	for _, f := range policy.Factors() {
		if len(l.held[f]) > 0 {
			l.ways = append(l.ways, f)
		}
	}
	if l.second && len(l.ways) == 0 {
		return &web.Fail{Status: http.StatusForbidden, Title: "link.stuck.title", Advice: "link.stuck"}
	}
	return nil
}

func (l *link) scope(r *http.Request) factors.Scope {
	scope := l.s.strangerScope(r, l.purpose)
	scope.Account, scope.Transaction = l.owner, l.t.ID
	return scope
}

func (l *link) save(r *http.Request) error {
	state, err := json.Marshal(l.state)
	if err != nil {
		return err
	}
	l.t.State = state
	if err := l.s.Store.SaveTransaction(r.Context(), l.t, l.s.Now().UTC()); err != nil {
		if errors.Is(err, ceremony.ErrTransactionGone) {
			return &web.Fail{Status: http.StatusConflict, Err: err}
		}
		return l.s.unavailable(err)
	}
	l.t.Version++
	return nil
}

// begin makes this browser the one of the ceremony, and lets the only way send
// its code.
func (l *link) begin(w http.ResponseWriter, r *http.Request, visit string) error {
	l.state = linkState{Visit: visit}
	if err := l.save(r); err != nil {
		return err
	}
	if len(l.ways) == 1 {
		// What cannot be sent now has a button on the page that follows.
		if _, err := l.prepare(r, l.ways[0], true); err == nil {
			return l.to(w, r, "")
		}
	}
	return l.to(w, r, "")
}

func (l *link) to(w http.ResponseWriter, r *http.Request, f policy.Factor) error {
	return web.Redirect(w, r, l.s.Web, l.s.Web.Path(l.at(f)))
}

// at is the page of one of the ways.
func (l *link) at(f policy.Factor) string {
	if f == "" {
		return l.page
	}
	return l.page + "?way=" + url.QueryEscape(string(f))
}

func (l *link) prepare(r *http.Request, f policy.Factor, send bool) (factors.Prompt, error) {
	var before factors.State
	if l.state.Factor == f {
		before = l.state.State
	}
	prompt, state, err := l.s.Factors.Find(f).Prepare(r.Context(), l.scope(r), l.held[f], before, send)
	if err != nil {
		return prompt, err
	}
	if slices.Equal(state, before) {
		return prompt, nil
	}
	l.state.Factor, l.state.State = f, state
	return prompt, l.save(r)
}

// prove asks for one of the ways, and takes its answer.
func (l *link) prove(w http.ResponseWriter, r *http.Request, fields map[string]string) error {
	f := policy.Factor(r.URL.Query().Get("way"))
	if !slices.Contains(l.ways, f) {
		if len(l.ways) > 1 {
			return l.chooseWay(w, r)
		}
		f = l.ways[0]
	}
	answer := factors.Answer{Fields: fields}
	switch {
	case r.Method != http.MethodPost:
		return l.show(w, r, f, http.StatusOK, nil)
	case sends(answer):
		if _, err := l.prepare(r, f, true); err != nil {
			return l.excuse(w, r, f, l.s.trouble(err))
		}
		return l.to(w, r, f)
	}
	return l.verify(w, r, f, answer)
}

func (l *link) chooseWay(w http.ResponseWriter, r *http.Request) error {
	view := &chooseView{View: l.s.view(w, r, nil)}
	for _, f := range l.ways {
		view.Ways = append(view.Ways, way{Factor: f, Href: l.s.Web.Path(l.at(f))})
	}
	return l.s.Pages.Render(w, r, l.s.Web, http.StatusOK, "choose", view)
}

func (l *link) show(w http.ResponseWriter, r *http.Request, f policy.Factor, status int, errs []web.FieldError) error {
	prompt, err := l.prepare(r, f, false)
	if err != nil {
		return l.s.trouble(err)
	}
	view := &promptView{View: l.s.view(w, r, nil), Prompt: prompt, Action: l.at(f), Invited: l.purpose == ceremony.Register}
	view.Errors = errorsOf(prompt, errs)
	if len(l.ways) > 1 {
		view.Others = l.s.Web.Path(l.page)
	}
	return l.s.Pages.Render(w, r, l.s.Web, status, pageOf(prompt), view)
}

// excuse shows the page of a way again with why it cannot do what was asked.
func (l *link) excuse(w http.ResponseWriter, r *http.Request, f policy.Factor, err error) error {
	fail := (*web.Fail)(nil)
	if !errors.As(err, &fail) || fail.Advice == "" {
		return err
	}
	web.SetRetryAfter(w.Header(), fail.RetryAfter)
	return l.show(w, r, f, fail.Status, fail.Excuse())
}

func (l *link) verify(w http.ResponseWriter, r *http.Request, f policy.Factor, answer factors.Answer) error {
	ctx, s := r.Context(), l.s
	receipt, err := s.Ledger.Spend(ctx, s.Plan.Charges(throttle.Try{
		Account: string(l.owner.ID), Factor: string(f), Address: s.Address(r),
		Known: acquaintances{s}.knownBrowser(r, func(m met) bool { return m.Account == l.owner.ID }),
	})...)
	if err != nil {
		return l.excuse(w, r, f, s.throttled(err, len(l.ways) > 1))
	}
	var before factors.State
	if l.state.Factor == f {
		before = l.state.State
	}
	verified, err := s.Factors.Find(f).Verify(ctx, l.scope(r), l.held[f], before, answer)
	if errs := answerError(f, err); errs != nil {
		if err := s.Recorder.Record(ctx, l.event(r, audit.ChallengeFailed, f, reasonOf(err))); err != nil {
			return s.unavailable(err)
		}
		return l.show(w, r, f, http.StatusBadRequest, errs)
	}
	if err != nil {
		return l.excuse(w, r, f, s.trouble(errors.Join(err, s.Ledger.Refund(ctx, receipt))))
	}
	l.state = linkState{Visit: l.state.Visit, Proved: f}
	if err := l.save(r); err != nil {
		return err
	}
	e := l.event(r, audit.ChallengePassed, f, "")
	e.Credential = string(verified.Credential.ID)
	if err := errors.Join(s.Ledger.Success(ctx, receipt), s.Recorder.Record(ctx, e)); err != nil {
		return s.unavailable(err)
	}
	return l.to(w, r, "")
}

// event is about the owner of the link, who has not signed in.
func (l *link) event(r *http.Request, name audit.Name, f policy.Factor, reason string) audit.Event {
	e := l.s.event(r, name, nil)
	e.Account, e.Actor, e.Organisation = string(l.owner.ID), string(l.owner.ID), l.owner.Organisation
	e.Factor, e.Reason = string(f), reason
	return e
}
