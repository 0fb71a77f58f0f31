package throttle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrSpent says that a budget has nothing left now. The error is always a
// *Spent; the caller compares nothing and sends nothing, answers 429 and
// offers what else there is.
var ErrSpent = errors.New("throttle: budget spent")

// Spent is the error of a try that was refused.
type Spent struct {
	// Which is the name of the charge that refused (Charge.Which).
	Which string
	// RetryAfter is how long until a try may succeed; 0 with Disabled.
	RetryAfter time.Duration
	// Disabled says that waiting does not help: the counter has to be
	// cleared, by a reset or by somebody who may.
	Disabled bool
}

func (s *Spent) Error() string {
	if s.Disabled {
		return fmt.Sprintf("throttle: budget spent: %s: disabled", s.Which)
	}
	return fmt.Sprintf("throttle: budget spent: %s: wait %s", s.Which, s.RetryAfter.Round(time.Second))
}

// Is makes errors.Is(err, ErrSpent) true.
func (s *Spent) Is(target error) bool { return target == ErrSpent }

// Charge is one thing that a try is counted against.
type Charge struct {
	Key Key
	// Which names the charge in errors, logs and metrics. It has no names,
	// numbers or addresses in it.
	Which  string
	Budget Budget
	// Shared marks a counter that others fill as well, such as an address's.
	// A right answer gives back only what this try spent there; a counter
	// that is not shared is cleared.
	Shared bool
}

// Receipt remembers what a try has spent. It is good for one call of Success
// or Refund; the zero value stands for a try that cost nothing.
type Receipt struct {
	spent  []entry
	failed int
}

// Failed is how many tries had failed in a row before this one, by the counter
// that has the most.
func (r Receipt) Failed() int { return r.failed }

type entry struct {
	keys []Key
	// undo has the keys that were spent from, with Until before and after.
	undo   []undo
	shared bool
}

type undo struct {
	index         int
	before, after time.Time
}

// Ledger spends from budgets. It is safe for concurrent use, by several
// nodes too: every method is one write transaction of the store.
type Ledger struct {
	Store Store
	Now   func() time.Time
}

// Spend takes one from the budgets of all charges, or from none. The error is
// a *Spent when at least one has nothing left (the one with the longest wait
// is named); any other error is technical and the caller refuses the try.
func (l *Ledger) Spend(ctx context.Context, charges ...Charge) (Receipt, error) {
	keys, err := keysOf(charges)
	if err != nil || len(keys) == 0 {
		return Receipt{}, err
	}
	var receipt Receipt
	err = l.Store.Counters(ctx, keys, func(counters []Counter) error {
		var refused error
		receipt, refused = spendAll(charges, keys, counters, l.now())
		return refused
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("spend: %w", err)
	}
	return receipt, nil
}

// Charging is Spend for a store that does more in the same write: the counters
// to be taken from, and what takes from them. Its error is a *Spent.
func (l *Ledger) Charging(charges ...Charge) (keys []Key, take func([]Counter) (Receipt, error), err error) {
	keys, err = keysOf(charges)
	return keys, func(counters []Counter) (Receipt, error) { return spendAll(charges, keys, counters, l.now()) }, err
}

// now has the precision that every store keeps, for Refund recognises the
// wait that its try began.
func (l *Ledger) now() time.Time { return l.Now().UTC().Truncate(time.Millisecond) }

// Check tells what Spend would say now and spends nothing. It is for pages
// that only show what can be done; before an answer is compared, use Spend.
func (l *Ledger) Check(ctx context.Context, charges ...Charge) error {
	keys, err := keysOf(charges)
	if err != nil || len(keys) == 0 {
		return err
	}
	err = l.Store.Counters(ctx, keys, func(counters []Counter) error {
		_, refused := spendAll(charges, keys, counters, l.now())
		return errors.Join(errPeeked, refused)
	})
	var spent *Spent
	switch {
	case errors.As(err, &spent):
		return spent
	case errors.Is(err, errPeeked):
		return nil
	default:
		return fmt.Errorf("check budget: %w", err)
	}
}

// errPeeked makes the store keep nothing.
var errPeeked = errors.New("throttle: only looking")

// Used is how many have been spent of a Ceiling in this month.
func (l *Ledger) Used(ctx context.Context, c Charge) (int, error) {
	used := 0
	err := l.Store.Counters(ctx, []Key{c.Key}, func(counters []Counter) error {
		if !counters[0].At.Before(monthOf(l.now())) {
			used = int(counters[0].Count)
		}
		return errPeeked
	})
	if err != nil && !errors.Is(err, errPeeked) {
		return 0, fmt.Errorf("look at a ceiling: %w", err)
	}
	return used, nil
}

// Success is called once the answer was right: counters of the try's own
// account are cleared, shared ones get back what the try spent.
func (l *Ledger) Success(ctx context.Context, r Receipt) error {
	keys, clear := r.Success()
	return l.settle(ctx, keys, "clear failures", clear)
}

// Success is what becomes of the counters of a try whose answer was right, for
// a store that keeps that together with more.
func (r Receipt) Success() (keys []Key, change func([]Counter)) {
	return r.settlement(func(e entry, counters []Counter) {
		if e.shared {
			e.giveBack(counters)
			return
		}
		clear(counters)
	})
}

// Refund is called when the answer could not be compared, or the message not
// be sent, for technical reasons: the try did not happen.
func (l *Ledger) Refund(ctx context.Context, r Receipt) error {
	keys, change := r.settlement(func(e entry, counters []Counter) { e.giveBack(counters) })
	return l.settle(ctx, keys, "refund", change)
}

// Clear makes the counters of charges new: after a reset, a new credential,
// or by somebody who lifts a lockout. Budgets have to be those that were
// spent from. Shared counters are left alone.
func (l *Ledger) Clear(ctx context.Context, charges ...Charge) error {
	charges = slices.DeleteFunc(slices.Clone(charges), func(c Charge) bool { return c.Shared })
	keys, err := keysOf(charges)
	if err != nil || len(keys) == 0 {
		return err
	}
	err = l.Store.Counters(ctx, keys, func(counters []Counter) error {
		clear(counters)
		return nil
	})
	if err != nil {
		return fmt.Errorf("clear budgets: %w", err)
	}
	return nil
}

// settlement lists the counters of a receipt, and gives what changes them,
// entry by entry.
func (r Receipt) settlement(one func(entry, []Counter)) (keys []Key, change func([]Counter)) {
	for _, e := range r.spent {
		keys = append(keys, e.keys...)
	}
	return keys, func(counters []Counter) {
		for _, e := range r.spent {
			one(e, counters[:len(e.keys)])
			counters = counters[len(e.keys):]
		}
	}
}

func (l *Ledger) settle(ctx context.Context, keys []Key, doing string, change func([]Counter)) error {
	if len(keys) == 0 {
		return nil
	}
	err := l.Store.Counters(ctx, keys, func(counters []Counter) error {
		change(counters)
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// giveBack undoes the try's own part. A wait that it began ends; one that a
// later try began stays.
func (e entry) giveBack(counters []Counter) {
	for _, u := range e.undo {
		c := &counters[u.index]
		if c.Count > 0 {
			c.Count--
		}
		if c.Until.Equal(u.after) {
			c.Until = u.before
		}
		if c.Count == 0 {
			*c = Counter{}
		}
	}
}

// keysOf lists the keys of all counters that charges need, in their order.
func keysOf(charges []Charge) ([]Key, error) {
	var keys []Key
	seen := make(map[Key]bool)
	for _, charge := range charges {
		for i := range charge.Budget.counters() {
			key := charge.Key.slot(i)
			if seen[key] {
				return nil, fmt.Errorf("throttle: %s is charged twice", charge.Which)
			}
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// spendAll changes counters, or returns a *Spent; then the changes do not
// count and the store has to drop them.
func spendAll(charges []Charge, keys []Key, counters []Counter, now time.Time) (Receipt, error) {
	var receipt Receipt
	var refused *Spent
	for _, charge := range charges {
		n := charge.Budget.counters()
		own := counters[:n]
		before := slices.Clone(own)
		if a, ok := charge.Budget.(Attempts); ok && !a.forgotten(before[0], now) {
			receipt.failed = max(receipt.failed, int(before[0].Count))
		}
		indexes, until := charge.Budget.spend(own, now)
		if !until.IsZero() {
			refused = refused.worse(charge.Which, until, now)
		}
		e := entry{keys: keys[:n:n], shared: charge.Shared}
		for _, i := range indexes {
			e.undo = append(e.undo, undo{index: i, before: before[i].Until, after: own[i].Until})
		}
		receipt.spent = append(receipt.spent, e)
		keys, counters = keys[n:], counters[n:]
	}
	if refused != nil {
		return Receipt{}, refused
	}
	return receipt, nil
}

// worse returns the refusal that keeps the person longer.
func (s *Spent) worse(which string, until, now time.Time) *Spent {
	if s != nil && s.Disabled {
		return s
	}
	if !until.Before(never) {
		return &Spent{Which: which, Disabled: true}
	}
	wait := until.Sub(now)
	if s != nil && s.RetryAfter >= wait {
		return s
	}
	return &Spent{Which: which, RetryAfter: wait}
}
