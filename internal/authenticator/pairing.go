package authenticator

import (
	"errors"
	"net/http"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/policy"
)

type invited struct {
	approval.Options
	// Site and Who are what is about to be paired, for the person.
	Site string `json:"site"`
	Who  string `json:"who"`
}

// invite gives a phone what it needs to make its key. It changes nothing.
func (s *Server) invite(r *http.Request, in struct{ Ticket string }) (invited, error) {
	p, err := s.pairing(r, in.Ticket)
	if err != nil {
		return invited{}, err
	}
	options, err := p.ticket.Invite(p.owner.ID, p.transaction.State)
	return invited{options, s.SiteName(p.transaction.Site), p.owner.Username}, ticketError(err)
}

// pairing is the ceremony that a ticket is of.
type pairing struct {
	ticket      approval.Ticket
	transaction ceremony.Transaction
	owner       account.Account
}

func (s *Server) pairing(r *http.Request, text string) (p pairing, err error) {
	if p.ticket, err = approval.ReadTicket(text); err != nil {
		return p, errTicket
	}
	p.transaction, err = s.Store.Transaction(r.Context(), p.ticket.Transaction, s.Now().UTC())
	if errors.Is(err, ceremony.ErrTransactionGone) || err == nil && (p.transaction.Factor != policy.Approval || p.transaction.Purpose != "enrol") {
		return p, errTicket
	}
	if err != nil {
		return p, err
	}
	p.owner, err = s.Store.Account(r.Context(), p.transaction.Subject)
	if errors.Is(err, account.ErrNotFound) || err == nil && p.owner.Suspended() {
		err = errTicket
	}
	return p, err
}

func ticketError(err error) error {
	if errors.Is(err, approval.ErrTicket) || errors.Is(err, factors.ErrWrongAnswer) || errors.Is(err, ceremony.ErrTransactionGone) {
		return errTicket
	}
	return err
}

type offering struct{ Ticket, Letter, Name string }

type offered struct {
	Bearer string `json:"bearer"`
	Check  string `json:"check"`
}

// offer takes a phone's key. Of any number of phones the first has it; the
// person says on the page whether that is theirs.
func (s *Server) offer(r *http.Request, in offering) (offered, error) {
	p, err := s.pairing(r, in.Ticket)
	if err != nil {
		return offered{}, err
	}
	t := p.transaction
	o, err := p.ticket.Offer(s.Origin, p.owner.ID, t.State, in.Letter, in.Name)
	if err != nil {
		return offered{}, ticketError(err)
	}
	t.State = o.State
	if err := s.Store.SaveTransaction(r.Context(), t, s.Now().UTC()); err != nil {
		return offered{}, ticketError(err)
	}
	return offered{o.Bearer, o.Check}, nil
}
