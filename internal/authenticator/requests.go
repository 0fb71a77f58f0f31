package authenticator

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/push"
)

// waiting is what waits on a phone.
type waiting struct {
	Requests []request `json:"requests"`
	// PushKey is what the phone subscribes with; empty where nobody is told.
	PushKey string `json:"push_key,omitempty"`
	// Told says that this phone is told.
	Told bool `json:"told"`
}

type request struct {
	ID string `json:"id"`
	// Shown is JSON in a text, because it is signed byte for byte.
	Shown string `json:"shown"`
	Left  int    `json:"left_s"`
	// Options are what the app's script needs; the challenge in them goes into
	// what is signed.
	Options approval.Options `json:"options"`
}

func (s *Server) requests(r *http.Request, _ struct{}) (waiting, error) {
	p, err := s.phoneOf(r)
	if err != nil {
		return waiting{}, err
	}
	return s.waitingOn(r.Context(), p)
}

func (s *Server) waitingOn(ctx context.Context, p phone) (waiting, error) {
	now := s.Now().UTC()
	open, err := s.Store.OpenApprovals(ctx, p.owner.ID, now)
	if err != nil {
		return waiting{}, err
	}
	w := waiting{Requests: []request{}, Told: approval.PushOf(p.Credential) != nil}
	if s.Push != nil {
		w.PushKey = s.Push.PublicKey()
	}
	for _, q := range open {
		options, err := approval.OptionsOf(p.Credential, q)
		if err != nil {
			return waiting{}, err
		}
		w.Requests = append(w.Requests, request{q.ID, string(q.Content.Shown), int(q.ExpiresAt.Sub(now).Seconds()), options})
	}
	return w, nil
}

// How often a phone's requests are looked for, and how long one stream of them
// stays open.
const (
	eventEvery = 400 * time.Millisecond
	eventFor   = 25 * time.Second
)

// events sends what waits at once, and whenever it changes.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if !own(r) {
		s.fail(w, errForeign)
		return
	}
	p, err := s.phoneOf(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	if !s.streams.begin(p.ID) {
		s.fail(w, errMany)
		return
	}
	defer s.streams.end(p.ID)
	harden(w.Header())
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	ticker, end := time.NewTicker(eventEvery), time.After(eventFor)
	defer ticker.Stop()
	last := "none yet"
	for {
		if now, body, err := s.look(r); err == nil && now != last {
			last = now
			fmt.Fprintf(w, "data: %s\n\n", body)
			if out.Flush() != nil {
				return
			}
		} else if errors.Is(err, errUnpaired) {
			return // the phone asks, and is told
		}
		select {
		case <-ticker.C:
		case <-end:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// look gives what waits, and a text that changes when another request does.
func (s *Server) look(r *http.Request) (which string, body []byte, err error) {
	p, err := s.phoneOf(r) // again: it may have been revoked
	if err != nil {
		return "", nil, err
	}
	w, err := s.waitingOn(r.Context(), p)
	if err != nil {
		return "", nil, err
	}
	for _, q := range w.Requests {
		which += q.ID + " "
	}
	body, err = json.Marshal(w)
	return which, body, err
}

type approving struct{ ID, Number, Letter string }

type outcome struct {
	// Outcome is approved, wrong-pin, wrong-number or destroyed.
	Outcome string `json:"outcome"`
	// Left is how many wrong PINs are left.
	Left int `json:"left,omitempty"`
}

// approve judges a phone's answer.
func (s *Server) approve(r *http.Request, in approving) (outcome, error) {
	p, err := s.phoneOf(r)
	if err != nil {
		return outcome{}, err
	}
	var judged error
	left := 0
	now := s.Now().UTC()
	err = s.Store.AnswerApproval(r.Context(), in.ID, p.ID, now, func(c *account.Credential, q *approval.Request) (audit.Event, []delivery.Queued, error) {
		var err error
		if judged, err = approval.Judge(c, q, s.Origin, approval.Answer{Number: in.Number, Letter: in.Letter}, now); err != nil {
			return audit.Event{}, nil, err
		}
		left = approval.TriesLeft(*c)
		return s.judged(r, p, *q, judged), nil, nil
	})
	switch {
	case errors.Is(err, approval.ErrGone):
		return outcome{}, errGone
	case errors.Is(err, account.ErrNotFound):
		return outcome{}, errUnpaired
	case err != nil:
		return outcome{}, err
	case judged == nil:
		return outcome{Outcome: "approved"}, nil
	case errors.Is(judged, approval.ErrWrongNumber):
		return outcome{Outcome: "wrong-number"}, nil
	case errors.Is(judged, factors.ErrDestroyed):
		return outcome{Outcome: "destroyed"}, s.destroy(r, p)
	default:
		return outcome{Outcome: "wrong-pin", Left: left}, nil
	}
}

// judged is the event of an answer.
func (s *Server) judged(r *http.Request, p phone, q approval.Request, outcome error) audit.Event {
	e := s.event(r, audit.ChallengeFailed, p, q)
	switch {
	case outcome == nil:
		e.Name = audit.RequestApproved
	case errors.Is(outcome, approval.ErrWrongNumber):
		e.Reason = "wrong-number"
	default:
		e.Reason = "wrong-pin"
	}
	return e
}

// destroy ends a pairing after too many wrong PINs, and tells its person.
func (s *Server) destroy(r *http.Request, p phone) error {
	e := s.event(r, audit.FactorDisabled, p, approval.Request{})
	e.Reason = "too-many-wrong-answers"
	messages, err := s.tell(r, p, people.ToldPhoneLocked, "")
	if err != nil {
		return err
	}
	err = s.Store.RevokeDevice(r.Context(), p.owner.ID, p.ID, e, messages)
	if errors.Is(err, account.ErrNotFound) {
		return nil // by another try, a moment ago
	}
	return err
}

// deny ends a request that the person has not asked for, and tells them, and
// whoever helps people of their organisation.
func (s *Server) deny(r *http.Request, in struct{ ID string }) (outcome, error) {
	p, err := s.phoneOf(r)
	if err != nil {
		return outcome{}, err
	}
	q, err := s.Store.Approval(r.Context(), in.ID)
	if errors.Is(err, approval.ErrGone) {
		return outcome{}, errGone
	}
	if err != nil {
		return outcome{}, err
	}
	messages, err := s.tell(r, p, people.ToldRequestDenied, q.Site)
	if err != nil {
		return outcome{}, err
	}
	more, err := s.tellHelpdesk(r, p, q)
	if err != nil {
		return outcome{}, err
	}
	now := s.Now().UTC()
	err = s.Store.AnswerApproval(r.Context(), in.ID, p.ID, now, func(c *account.Credential, q *approval.Request) (audit.Event, []delivery.Queued, error) {
		approval.Deny(c, q, now)
		e := s.event(r, audit.RequestDenied, p, *q)
		about := q.About()
		e.Detail = []audit.Field{{Key: "asked_from", Value: about.Address}, {Key: "asked_with", Value: about.Browser}}
		return e, append(messages, more...), nil
	})
	switch {
	case errors.Is(err, approval.ErrGone):
		return outcome{}, errGone
	case errors.Is(err, account.ErrNotFound):
		return outcome{}, errUnpaired
	case err != nil:
		return outcome{}, err
	}
	s.wake(q.Site)
	return outcome{Outcome: "denied"}, nil
}

// tell writes what the phone's person is told, in the words of a site.
func (s *Server) tell(r *http.Request, p phone, what people.Told, site string) ([]delivery.Queued, error) {
	if s.Notices == nil {
		return nil, nil
	}
	held, err := s.Store.Credentials(r.Context(), p.owner.ID)
	if err != nil {
		return nil, err
	}
	return s.Notices(site).Messages(people.Notice{
		What: what, Account: p.owner, Credential: p.Credential, Held: held, From: s.whence(r), At: s.Now().UTC(),
	}), nil
}

// maxHelpers bounds how many people of a helpdesk are told of one denial.
const maxHelpers = 10

// tellHelpdesk writes what the helpdesk of the person's organisation is told.
func (s *Server) tellHelpdesk(r *http.Request, p phone, q approval.Request) ([]delivery.Queued, error) {
	if s.Notices == nil {
		return nil, nil
	}
	helpers, err := s.Store.Accounts(r.Context(), account.Filter{Organisation: p.owner.Organisation, Role: account.RoleHelpdesk, Limit: maxHelpers})
	if err != nil {
		return nil, err
	}
	var all []delivery.Queued
	about := q.About()
	for _, helper := range helpers {
		if helper.Email == "" || helper.ID == p.owner.ID || helper.Suspended() {
			continue
		}
		all = append(all, s.Notices(q.Site).Messages(people.Notice{
			What: people.ToldHelpdeskDenied, Account: helper, About: p.owner.Username,
			From: people.Whence{Address: about.Address, Place: about.Place}, At: s.Now().UTC(),
		})...)
	}
	return all, nil
}

func (s *Server) whence(r *http.Request) people.Whence {
	address := s.Address(r)
	from := people.Whence{Address: address.String()}
	if s.Where != nil {
		from.Place = s.Where(address)
	}
	return from
}

func (s *Server) wake(site string) {
	if s.Notices == nil {
		return
	}
	if n := s.Notices(site); n != nil && n.Wake != nil {
		n.Wake()
	}
}

type subscribing struct {
	Subscription *struct {
		Endpoint string
		Keys     struct{ P256DH, Auth string }
	}
}

// subscribe keeps where a phone can be told; nothing for nowhere.
func (s *Server) subscribe(r *http.Request, in subscribing) (struct{}, error) {
	p, err := s.phoneOf(r)
	if err != nil {
		return struct{}{}, err
	}
	var to *approval.Subscription
	if in.Subscription != nil {
		to = &approval.Subscription{Endpoint: in.Subscription.Endpoint, P256DH: in.Subscription.Keys.P256DH, Auth: in.Subscription.Keys.Auth}
		if s.Push == nil || s.Push.Check(push.Subscription(*to)) != nil {
			return struct{}{}, errEndpoint
		}
	}
	// To be told is no use of the credential: when that was stays.
	_, err = s.Store.UseCredential(r.Context(), p.ID, p.LastUsedAt, func(c *account.Credential) error { return approval.SetPush(c, to, false) })
	if errors.Is(err, account.ErrNotFound) {
		err = errUnpaired
	}
	return struct{}{}, err
}

// Wake tells phones that something waits. A place that is no more is forgotten,
// and the pages say so.
func (s *Server) Wake(phones []account.Credential) {
	for _, c := range phones {
		to := approval.PushOf(c)
		if to == nil || s.Push == nil {
			continue
		}
		s.Push.Later(push.Subscription(*to), func(ctx context.Context, err error) {
			if !errors.Is(err, push.ErrGone) && !errors.Is(err, push.ErrEndpoint) {
				if err != nil {
					s.Report(rand.Text(), err)
				}
				return
			}
			_, err = s.Store.UseCredential(ctx, c.ID, c.LastUsedAt, func(now *account.Credential) error {
				if kept := approval.PushOf(*now); kept == nil || *kept != *to {
					return errGone // the phone has another by now
				}
				return approval.SetPush(now, nil, true)
			})
			if err != nil && !errors.Is(err, errGone) && !errors.Is(err, account.ErrNotFound) {
				s.Report(rand.Text(), err)
			}
		})
	}
}
