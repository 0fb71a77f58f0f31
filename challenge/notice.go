package challenge

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
)

// notices is what people are told of what happens to their account.
type notices struct{ *Site }

// whence is where a request comes from, as notices say it.
func (s notices) whence(r *http.Request) people.Whence {
	address := s.Address(r)
	from := people.Whence{Address: address.String()}
	if s.Where != nil {
		from.Place = s.Where(address)
	}
	return from
}

// origin is where a request comes from, as the trail keeps it.
func (s notices) origin(r *http.Request) people.Origin {
	return people.Origin{Site: s.Place.Origin, Address: s.Address(r).String(), UserAgent: r.UserAgent()}
}

// tell writes what v is told of a credential, for the write that does it.
func (s notices) tell(r *http.Request, v *session.Entry, what people.Told, c account.Credential) ([]delivery.Queued, error) {
	if what == "" || s.Notices == nil {
		return nil, nil
	}
	held, err := s.Store.Credentials(r.Context(), v.Owner.Account.ID)
	if err != nil {
		return nil, err
	}
	return s.Notices.Messages(people.Notice{
		What: what, Account: v.Owner.Account, Credential: c, Held: held, From: s.whence(r), At: s.Now().UTC(),
	}), nil
}

// sent lets messages that were kept go out.
func (s notices) sent(messages []delivery.Queued) {
	if len(messages) > 0 && s.Notices.Wake != nil {
		s.Notices.Wake()
	}
}

const (
	// longAbsence is after how long without a sign-in one from a network that
	// none of the last ones came from is told.
	longAbsence = 30 * 24 * time.Hour
	lastSignIns = 20
)

// signedIn keeps the event of a sign-in, and tells the person of one from
// somewhere new after a long time (ASVS 5.0 6.3.5).
func (s notices) signedIn(r *http.Request, v *session.Entry, e audit.Event) error {
	strange, err := s.fromNew(r.Context(), e)
	if err != nil {
		return err
	}
	if !strange {
		return s.Recorder.Record(r.Context(), e)
	}
	messages, err := s.tell(r, v, people.ToldSignInFromNew, account.Credential{})
	if err == nil {
		err = s.Store.Note(r.Context(), e, messages)
	}
	if err == nil {
		s.sent(messages)
	}
	return err
}

// fromNew tells whether a sign-in comes after a long time, and from a network
// that is none of those before.
func (s notices) fromNew(ctx context.Context, e audit.Event) (bool, error) {
	last, err := s.signIns(ctx, e.Account, 1)
	if err != nil || len(last) == 0 || e.At.Sub(last[0].Event.At) < longAbsence {
		return false, err
	}
	before, err := s.signIns(ctx, e.Account, lastSignIns)
	if err != nil {
		return false, err
	}
	network := networkOf(e.Address)
	return !slices.ContainsFunc(before, func(r audit.Record) bool { return networkOf(r.Event.Address) == network }), nil
}

// signIns are the newest of an account's.
func (s notices) signIns(ctx context.Context, of string, limit int) ([]audit.Record, error) {
	return s.Store.Events(ctx, audit.Query{Account: of, Names: []audit.Name{audit.LoginSuccess}, Limit: limit})
}

// networkOf is what neighbours share: the /24 of IPv4, the /48 of IPv6. What
// is no address is a network of its own.
func networkOf(address string) netip.Prefix {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	return netip.PrefixFrom(addr, bits).Masked()
}
