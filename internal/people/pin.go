package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/signin"
)

// ErrPinned says that a name leads to another account than it led to before,
// or that it would be a second name of somebody. Nobody is let in; the
// operator can confirm it (ConfirmName).
var ErrPinned = errors.New("people: the name leads to another account than before")

// confirmedFor is how long the sign-in may take that a confirmation is for.
const confirmedFor = 7 * 24 * time.Hour

// conflict is why names may not lead to an account, as a kebab code.
type conflict string

const (
	nameLeadsElsewhere  conflict = "submitted-name-led-elsewhere"
	identityIsElsewhere conflict = "identity-is-somebody-elses"
	identitySpelled     conflict = "identity-in-another-spelling"
	identityOfAnother   conflict = "identity-has-another-submitted-name"
	nameOfAnother       conflict = "submitted-name-is-another-account"
)

// arriveByName is Arrive for sources that know people by names alone. What is
// pinned is asked before anybody is made, and again where the pins are kept.
func (p *People) arriveByName(ctx context.Context, who signin.Identity) (account.Account, error) {
	known, err := p.known(ctx, who)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return known, err
	}
	why, err := p.contradicts(ctx, p.Store, who, known)
	if err != nil {
		return account.Account{}, err
	}
	if why != "" {
		return account.Account{}, p.refusePinned(ctx, who, known, why)
	}
	found, err := p.arrive(ctx, who)
	if err != nil || found.Suspended() {
		return found, err
	}
	err = p.Store.Update(ctx, func(tx Tx) error {
		if why, err = p.contradicts(ctx, tx, who, found); err != nil || why != "" {
			return err
		}
		return p.pin(ctx, tx, who, found)
	})
	if err == nil && why != "" {
		err = p.refusePinned(ctx, who, found, why)
	}
	return found, err
}

// contradicts tells whether what is pinned speaks against a sign-in as known,
// the zero value for somebody who has no account yet. "" says that nothing
// does.
func (p *People) contradicts(ctx context.Context, r Reader, who signin.Identity, known account.Account) (conflict, error) {
	confirmed, err := r.Pin(ctx, who.Source, account.PinConfirmed, account.FoldUsername(who.Typed))
	if err == nil && p.now().Sub(confirmed.At) < confirmedFor {
		return "", nil
	} else if err != nil && !errors.Is(err, account.ErrNotFound) {
		return "", err
	}
	ledHere := false
	for _, led := range []struct {
		kind account.PinKind
		name string
		why  conflict
	}{{account.PinSubmitted, who.Typed, nameLeadsElsewhere}, {account.PinIdentity, identityOf(who), identityIsElsewhere}} {
		pin, err := r.Pin(ctx, who.Source, led.kind, led.name)
		switch {
		case errors.Is(err, account.ErrNotFound):
		case err != nil:
			return "", err
		case pin.Account != known.ID:
			return led.why, nil
		case led.kind == account.PinSubmitted:
			ledHere = true
		}
	}
	// A name that has led here may be another account's all the same, where
	// the operator has confirmed it.
	other, err := r.AccountByUsername(ctx, who.Source, account.FoldUsername(who.Typed))
	switch {
	case err == nil && other.ID != known.ID && !ledHere:
		return nameOfAnother, nil
	case err != nil && !errors.Is(err, account.ErrNotFound):
		return "", err
	}
	if known.ID == "" {
		return "", nil
	}
	pins, err := r.Pins(ctx, known.ID)
	return disagree(pins, who, known), err
}

// identityOf is the name that the app gives, "" where it gives none.
func identityOf(who signin.Identity) string {
	if who.Subject == "" {
		return ""
	}
	return who.Username
}

// disagree compares a sign-in with the names that have led to its account.
func disagree(pins []account.Pin, who signin.Identity, known account.Account) conflict {
	names := map[account.PinKind][]string{}
	for _, pin := range pins {
		names[pin.Kind] = append(names[pin.Kind], pin.Name)
	}
	submitted, given := names[account.PinSubmitted], names[account.PinIdentity]
	sameName := func(s string) bool { return account.FoldUsername(s) == account.FoldUsername(who.Typed) }
	switch {
	case who.Subject == "" && len(submitted) == 0 && who.Typed != known.Username,
		who.Subject == "" && len(submitted) > 0 && !slices.Contains(submitted, who.Typed):
		// Nothing but what was typed says who this is, and the app may take
		// another letter case for another person.
		return identitySpelled
	case who.Subject != "" && len(given) > 0 && !slices.Contains(given, who.Username):
		return identitySpelled
	case who.Subject != "" && len(submitted) > 0 && !slices.ContainsFunc(submitted, sameName):
		return identityOfAnother
	default:
		return ""
	}
}

// pin keeps what a sign-in says, and takes a confirmation for used.
func (p *People) pin(ctx context.Context, tx Tx, who signin.Identity, a account.Account) error {
	pins := []account.Pin{{Source: who.Source, Kind: account.PinSubmitted, Name: who.Typed, Account: a.ID, At: p.now()}}
	if who.Subject != "" {
		pins = append(pins, account.Pin{Source: who.Source, Kind: account.PinIdentity, Name: who.Username, Account: a.ID, At: p.now()})
	}
	for _, pin := range pins {
		if known, err := tx.Pin(ctx, pin.Source, pin.Kind, pin.Name); err == nil && known.Account == a.ID {
			continue
		}
		if err := tx.KeepPin(ctx, pin); err != nil {
			return err
		}
	}
	return tx.DropPin(ctx, who.Source, account.PinConfirmed, account.FoldUsername(who.Typed))
}

// refusePinned writes down who was not let in, and why.
func (p *People) refusePinned(ctx context.Context, who signin.Identity, known account.Account, why conflict) error {
	e := accountEvent(audit.NameConflict, known, "",
		audit.Field{Key: "source", Value: who.Source}, audit.Field{Key: "submitted", Value: who.Typed}, audit.Field{Key: "identity", Value: who.Username})
	e.Outcome, e.Reason = "refused", string(why)
	err := p.Store.Update(ctx, func(tx Tx) error { return p.record(ctx, tx, Gateway(), e) })
	return errors.Join(fmt.Errorf("%w: %s", ErrPinned, why), err)
}

// ConfirmName lets a submitted name of a source lead to another account, at
// its next sign-in and from then on. An empty source means the only one that
// knows people by names. A name is nobody's in particular, so whoever confirms
// one acts on all organisations.
func (p *People) ConfirmName(ctx context.Context, actor Actor, source, name, reason string) error {
	if err := actor.may(ActManage); err != nil {
		return err
	}
	if err := account.CheckUsername(name); err != nil {
		return invalid(say("no name: %s", err.Error()), say("give the name as it was typed into the form of the application"))
	}
	source, err := p.byName(source)
	if err != nil {
		return err
	}
	return p.change(ctx, actor, func(tx Tx, current Actor) (audit.Event, error) {
		if err := current.may(ActManage); err != nil {
			return audit.Event{}, err
		}
		if current.organisation() != "" {
			return audit.Event{}, forbidden(say("names of an application are of all organisations"), say("ask an owner"))
		}
		pin := account.Pin{Source: source, Kind: account.PinConfirmed, Name: account.FoldUsername(name), At: p.now()}
		if err := tx.KeepPin(ctx, pin); err != nil {
			return audit.Event{}, err
		}
		return audit.Event{
			Name:   audit.NameConfirmed,
			Detail: withReason([]audit.Field{{Key: "source", Value: source}, {Key: "submitted", Value: name}}, reason),
		}, nil
	})
}

// byName finds the source that is meant.
func (p *People) byName(source string) (string, error) {
	var names []string
	for _, s := range p.Sources {
		if s.SubjectIsName && (source == "" || s.Name == source) {
			names = append(names, s.Name)
		}
	}
	switch len(names) {
	case 1:
		return names[0], nil
	case 0:
		return "", invalid(say("no sign-in source knows people by the names of an application"), say("name one with --source, as in the configuration"))
	default:
		return "", invalid(say("several sign-in sources know people by names"), say("say which with --source"))
	}
}

// SameName tells whether a name that a source gives is one that has led to
// the account before, byte for byte.
func (p *People) SameName(ctx context.Context, a account.Account, who signin.Identity) (bool, error) {
	if who.Subject == "" || a.Source != who.Source || a.Subject != who.Subject {
		return false, nil
	}
	pin, err := p.Store.Pin(ctx, who.Source, account.PinIdentity, who.Username)
	if errors.Is(err, account.ErrNotFound) {
		return false, nil
	}
	return err == nil && pin.Account == a.ID, err
}

// SameTyped tells whether what somebody typed into the form of the account's
// source has led to the account before, byte for byte.
func (p *People) SameTyped(ctx context.Context, a account.Account, typed string) (bool, error) {
	pin, err := p.Store.Pin(ctx, a.Source, account.PinSubmitted, typed)
	if errors.Is(err, account.ErrNotFound) {
		return false, nil
	}
	return err == nil && pin.Account == a.ID, err
}
