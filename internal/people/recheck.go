package people

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/signin"
)

// RecheckStore is what Rechecks asks of the store.
type RecheckStore interface {
	// SessionOwners lists the accounts of a source that are signed in
	// somewhere, each once.
	SessionOwners(ctx context.Context, source string, now time.Time) ([]account.ID, error)
	OpenTransaction(ctx context.Context, t ceremony.Transaction, now time.Time) (ceremony.Transaction, error)
}

// Rechecks asks sources, now and then, whether people who are signed in may
// still be here. Of the nodes over one store one does it at a time. Its fields
// are set before Run.
type Rechecks struct {
	People  *People
	Store   RecheckStore
	Sources []signin.Rechecker
	// Tell writes to the operator's log what went wrong with a source.
	Tell func(source string, err error)
}

const (
	recheckPurpose = "recheck"
	// giveUpAfter is how many people in a row a source may be unable to tell
	// of before the others are left for the next time.
	giveUpAfter = 3
)

// Run asks until ctx ends, each source for itself.
func (r *Rechecks) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, source := range r.Sources {
		if source.RecheckEvery() > 0 {
			all.Go(func() { r.follow(ctx, source) })
		}
	}
	all.Wait()
}

// follow looks four times in the time between two rounds whether it is a
// node's turn, so that none is missed because the last node has gone.
func (r *Rechecks) follow(ctx context.Context, source signin.Rechecker) {
	tick := time.NewTicker(max(source.RecheckEvery()/4, 50*time.Millisecond))
	defer tick.Stop()
	for {
		mine, err := r.turn(ctx, source)
		if mine {
			err = r.round(ctx, source)
		}
		if err != nil && ctx.Err() == nil {
			r.Tell(source.Name(), err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// turn takes the next round of a source for this node, if no node has taken it.
// It is over in time for the look before the round after it.
func (r *Rechecks) turn(ctx context.Context, source signin.Rechecker) (mine bool, err error) {
	now := r.People.now()
	own := ceremony.Transaction{
		ID: rand.Text(), Key: recheckPurpose + " " + source.Name(), Purpose: recheckPurpose, State: []byte("taken"),
		CreatedAt: now, ExpiresAt: now.Add(source.RecheckEvery() * 3 / 4),
	}
	kept, err := r.Store.OpenTransaction(ctx, own, now)
	if err != nil {
		return false, fmt.Errorf("take a round: %w", err)
	}
	return kept.ID == own.ID, nil
}

// round asks a source about all of its people who are signed in. Whom it does
// not vouch for any more is signed out everywhere; where it cannot tell, people
// go on.
func (r *Rechecks) round(ctx context.Context, source signin.Rechecker) error {
	owners, err := r.Store.SessionOwners(ctx, source.Name(), r.People.now())
	if err != nil {
		return err
	}
	var last error
	unable := 0
	for i, owner := range owners {
		err := r.People.recheck(ctx, source, owner)
		if err == nil {
			unable = 0
			continue
		}
		last = err
		if unable++; unable == giveUpAfter || ctx.Err() != nil {
			return fmt.Errorf("%d of %d people were not asked for: %w", len(owners)-i-1, len(owners), last)
		}
	}
	return last
}

// recheck asks a source about one account.
func (p *People) recheck(ctx context.Context, source signin.Rechecker, owner account.ID) error {
	a, err := p.Store.Account(ctx, owner)
	if errors.Is(err, account.ErrNotFound) || err == nil && (a.Source != source.Name() || a.Subject == "") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read account: %w", err)
	}
	who, err := source.Recheck(ctx, a.Subject)
	switch {
	case errors.Is(err, signin.ErrRefused):
		return p.signOutRefused(ctx, a)
	case err != nil:
		return err
	}
	who.Source = source.Name()
	_, err = p.Arrive(ctx, who)
	return err
}

// signOutRefused ends what somebody has open for whom their source does not
// vouch any more. The account stays, with its credentials: the source may let
// them in again.
func (p *People) signOutRefused(ctx context.Context, a account.Account) error {
	return p.change(ctx, Gateway(), func(tx Tx, _ Actor) (audit.Event, error) {
		if err := tx.DropTransactions(ctx, a.ID); err != nil {
			return audit.Event{}, fmt.Errorf("end challenges: %w", err)
		}
		if err := tx.EndAccountSessions(ctx, a.ID, ""); err != nil {
			return audit.Event{}, fmt.Errorf("end sessions: %w", err)
		}
		e := accountEvent(audit.SessionExpired, a, "", audit.Field{Key: "source", Value: a.Source}, audit.Field{Key: "by", Value: "source"})
		e.Reason = "source-refused"
		return e, nil
	})
}
