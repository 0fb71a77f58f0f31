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
	ticket, t, owner, err := s.pairing(r, in.Ticket)
	if err != nil {
		return invited{}, err
	}
	options, err := ticket.Invite(owner.ID, t.State)
	return invited{options, s.SiteName(t.Site), owner.Username}, ticketError(err)
}

// pairing finds the ceremony that a ticket is of.
func (s *Server) pairing(r *http.Request, text string) (approval.Ticket, ceremony.Transaction, account.Account, error) {
	ticket, err := approval.ReadTicket(text)
	if err != nil {
		return ticket, ceremony.Transaction{}, account.Account{}, errTicket
	}
	t, err := s.Store.Transaction(r.Context(), ticket.Transaction, s.Now().UTC())
	if errors.Is(err, ceremony.ErrTransactionGone) || err == nil && (t.Factor != policy.Approval || t.Purpose != "enrol") {
		return ticket, t, account.Account{}, errTicket
	}
	if err != nil {
		return ticket, t, account.Account{}, err
	}
	owner, err := s.Store.Account(r.Context(), t.Subject)
	if errors.Is(err, account.ErrNotFound) || err == nil && owner.Suspended() {
		err = errTicket
	}
	return ticket, t, owner, err
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
	ticket, t, owner, err := s.pairing(r, in.Ticket)
	if err != nil {
		return offered{}, err
	}
	o, err := ticket.Offer(s.Origin, owner.ID, t.State, in.Letter, in.Name)
	if err != nil {
		return offered{}, ticketError(err)
	}
	t.State = o.State
	if err := s.Store.SaveTransaction(r.Context(), t, s.Now().UTC()); err != nil {
		return offered{}, ticketError(err)
	}
	return offered{o.Bearer, o.Check}, nil
}
