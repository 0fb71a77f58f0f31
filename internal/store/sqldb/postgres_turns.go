package sqldb

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
)

// caller is one who wants to write in turn.
type caller struct {
	// turn gives the caller its turn: it runs its change and gives back.
	turn chan *turns
	// refused is told why there is none.
	refused chan error
	// gone is closed by a caller who has not waited.
	gone chan struct{}
}

// turns is one transaction that several callers of a node share, one after the
// other: it holds lockUpdates, and its commit is that of all. Only who has the
// turn, or else the goroutine that offers them, touches it, until over is
// closed.
type turns struct {
	begun *begun
	back  chan struct{} // a turn is given back
	over  chan struct{} // closed when err is final

	kept    int              // changes to be committed
	changes []session.Change // of these, for the feed
	tail    *audit.Link      // the trail's end, where a change has come to know it
	err     error            // all have failed
}

// A turn's savepoint is there before the first statement of the turn is sent: a
// statement that the server does not even take fails the transaction as well,
// and the driver has all that it sends together taken before any of it runs.
const (
	beginTurn = `SAVEPOINT turn`
	endTurn   = `RELEASE turn`
	undoTurn  = `ROLLBACK TO turn`
)

// attemptInTurn runs change in a transaction that others of this node may
// share, with a savepoint of its own. Once begun it listens to ctx between
// statements only, for one that is interrupted would take the changes of others
// along.
func (p *postgres) attemptInTurn(ctx context.Context, change func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &caller{turn: make(chan *turns), refused: make(chan error, 1), gone: make(chan struct{})}
	defer close(c.gone)
	// Before a store that does not answer all wait as long as one would alone.
	waiting, cancel := context.WithTimeout(ctx, p.step)
	defer cancel()
	select {
	case p.inTurn <- c:
	case <-waiting.Done():
		return fmt.Errorf("wait to write: %w", waiting.Err())
	}
	select {
	case ts := <-c.turn:
		if err := ts.take(ctx, change); err != nil {
			return err
		}
		<-ts.over
		return ts.err
	case err := <-c.refused:
		return err
	case <-waiting.Done():
		return fmt.Errorf("wait to write: %w", waiting.Err())
	}
}

// takeTurns offers turns until the store is closed. Those who come while a
// transaction is committed share the next.
func (p *postgres) takeTurns() {
	for {
		select {
		case c := <-p.inTurn:
			p.shareOne(c)
		case <-p.ended:
			return
		}
	}
}

func (p *postgres) shareOne(c *caller) {
	ctx, cancel := context.WithTimeout(context.Background(), p.step)
	defer cancel()
	b, err := p.begin(ctx, inTurn)
	if err != nil {
		c.refused <- fmt.Errorf("begin to write: %w", err)
		return
	}
	defer b.leave()
	ts := &turns{begun: b, back: make(chan struct{}), over: make(chan struct{})}
	defer close(ts.over)
	for n := 0; c != nil && n < groupTurns && ts.err == nil; n++ {
		select {
		case c.turn <- ts:
			<-ts.back
		case <-c.gone:
		}
		if c = nil; n+1 < groupTurns && ts.err == nil {
			select {
			case c = <-p.inTurn:
			default:
			}
		}
	}
	ts.end()
}

// take runs change in the savepoint that is there, and makes the next one's. An error means that nothing of it is kept;
// nil, that the outcome of all decides. It also gives the turn back when
// change panics or ends its goroutine.
func (ts *turns) take(ctx context.Context, change func(*tx) error) error {
	defer func() { ts.back <- struct{}{} }()
	if err := ctx.Err(); err != nil {
		return err
	}
	t := ts.newTx()
	t.tail = ts.tail
	kept := false
	defer func() {
		if !kept && t.st.sent {
			ts.undo()
		}
	}()
	if err := t.work(change); err != nil {
		return err
	}
	if t.st.asked { // once the turn has ended it is too late not to like an answer
		if err := t.st.flush(ctx); err != nil {
			return err
		}
	}
	for _, query := range []string{endTurn, beginTurn} {
		if err := t.st.later(context.WithoutCancel(ctx), query); err != nil {
			return err
		}
	}
	if err := t.st.flush(ctx); err != nil {
		return err
	}
	kept = true
	ts.kept++
	ts.changes = append(ts.changes, t.changes...)
	ts.tail = t.tail
	return nil
}

// newTx has statements go on while the transaction of all does, whoever has
// left meanwhile.
func (ts *turns) newTx() *tx {
	st := ts.begun.statements()
	st.under = ts.begun.whole
	return ts.begun.newTx(st)
}

// undo takes back what the present turn did; its savepoint is then the next
// one's. Where that fails, the connection is gone, and all with it.
func (ts *turns) undo() {
	if _, err := ts.begun.tx.ExecContext(ts.begun.whole, undoTurn); err != nil {
		ts.err = fmt.Errorf("%s: %w", undoTurn, err)
	}
}

// end adds the changes of all to the feed and commits.
func (ts *turns) end() {
	if ts.err != nil || ts.kept == 0 {
		return
	}
	t := ts.newTx()
	t.changes = ts.changes
	ts.err = t.run(ts.begun.whole, func(*tx) error { return nil })
	if ts.err == nil {
		ts.err = ts.begun.commit()
	}
}
