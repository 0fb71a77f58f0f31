package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
)

// groupTurns is how many callers share one commit at most. It bounds how long
// the first of them waits for the others.
const groupTurns = 64

// committer is the one writer of an SQLite store. Its goroutine offers turns
// in a transaction; who takes one runs its change itself, while the others
// wait, and the goroutine commits when nobody is waiting any more. What comes
// while the disk is busy makes the next group.
type committer struct {
	store   *DB
	db      *sql.DB // one connection
	present func() error
	// lazy is how the connection is set: commits wait for no disk. Only the
	// group whose turn it is looks.
	lazy bool

	turns   chan *group
	closing chan struct{}
	closed  sync.Once
	done    chan struct{}
}

// startCommitter begins to offer turns, until stop.
func startCommitter(store *DB, db *sql.DB, present func() error) *committer {
	c := &committer{
		store: store, db: db, present: present,
		turns: make(chan *group), closing: make(chan struct{}), done: make(chan struct{}),
	}
	go c.work()
	return c
}

// stop refuses who has no turn yet and waits for the commit of who has.
func (c *committer) stop() {
	c.closed.Do(func() { close(c.closing) })
	<-c.done
}

func (c *committer) write(ctx context.Context, how manner, change func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	turns := c.turns
	for {
		select {
		case g := <-turns:
			if !g.suits(how) {
				g.next = &successor{turn: make(chan *group), gone: make(chan struct{})}
				turns = g.next.turn
				defer close(g.next.gone)
				g.back <- struct{}{}
				continue
			}
			if err := g.take(ctx, change); err != nil {
				return err
			}
			<-g.over
			return g.err
		case <-ctx.Done():
			return ctx.Err()
		case <-c.closing:
			return ErrClosed
		}
	}
}

func (c *committer) work() {
	defer close(c.done)
	var next *successor
	for {
		g := &group{committer: c, back: make(chan struct{}), over: make(chan struct{})}
		if !next.begins(g) {
			select {
			case c.turns <- g:
				<-g.back
			case <-c.closing:
				return
			}
		}
		for n := 1; n < groupTurns && g.err == nil && !g.left && c.offer(g); n++ {
		}
		g.end()
		close(g.over)
		next = g.next
	}
}

// successor is somebody who could not join a group, and begins the next: among
// those who wait at any time it might never be the first.
type successor struct {
	turn chan *group
	gone chan struct{} // closed when it does not wait any more
}

func (s *successor) begins(g *group) bool {
	if s == nil {
		return false
	}
	select {
	case s.turn <- g:
		<-g.back
		return true
	case <-s.gone:
		return false
	}
}

// offer gives a turn to somebody who waits, if anybody does.
func (c *committer) offer(g *group) bool {
	select {
	case c.turns <- g:
		<-g.back
		return true
	default:
		return false
	}
}

// group is one transaction that several callers share. Only who has the turn,
// or else the committer's goroutine, touches it, until over is closed.
type group struct {
	committer *committer
	back      chan struct{} // a turn is given back
	over      chan struct{} // closed when err is final

	tx      *sql.Tx
	kept    int              // changes to be committed
	changes []session.Change // of these, for the feed
	err     error            // the whole group has failed
	lazy    bool             // its commit waits for no disk
	own     bool             // it is of one change
	left    bool             // nobody else can join
	next    *successor       // who could not
	tail    *audit.Link      // the trail's end, where a change has come to know it
}

// suits tells whether a change may be of the group. The first one says whether
// it is lazy; in a lazy group there is none that has to be on the disk. One that
// is by itself is the first and the last.
func (g *group) suits(how manner) bool {
	if g.tx == nil {
		g.lazy, g.own, g.left = how == lazily, how == byItself, how == byItself
		return true
	}
	g.left = g.lazy && how != lazily || how == byItself
	return !g.left
}

// take runs change in a savepoint. An error means that nothing of it is
// kept; nil, that the group's outcome decides. It also gives the turn back
// when change panics or ends its goroutine.
func (g *group) take(ctx context.Context, change func(*tx) error) error {
	defer func() { g.back <- struct{}{} }()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := g.begin(); err != nil {
		g.err = err
		return err
	}
	kept := false
	defer func() {
		if !kept {
			g.undo()
		}
	}()
	t := g.newTx()
	t.tail = g.tail
	if err := t.work(change); err != nil {
		return err
	}
	if err := g.keep(); err != nil {
		return err
	}
	kept = true
	g.kept++
	g.changes = append(g.changes, t.changes...)
	g.tail = t.tail
	return nil
}

func (g *group) newTx() *tx {
	return g.committer.store.newTx(&statements{tx: g.tx, under: context.Background(), spell: steady}, lockNothing, moveHead)
}

func lockNothing(context.Context, string) error { return nil }

// begin opens the transaction for the first turn and a savepoint for each. A
// change by itself has none: SQLite would keep what each page was before it.
func (g *group) begin() error {
	if g.tx == nil {
		if err := g.committer.present(); err != nil {
			return err
		}
		if err := g.committer.setLazy(g.lazy); err != nil {
			return err
		}
		tx, err := g.committer.db.BeginTx(context.Background(), nil)
		if err != nil {
			return fmt.Errorf("begin to write: %w", err)
		}
		g.tx = tx
	}
	if g.own {
		return nil
	}
	return g.exec(`SAVEPOINT turn`)
}

// keep ends the present turn's savepoint.
func (g *group) keep() error {
	if g.own {
		return nil
	}
	return g.exec(`RELEASE turn`)
}

// setLazy sets what the connection's next commits wait for. In either way they
// reach the disk in their order: one that waits has all before it there too.
func (c *committer) setLazy(lazy bool) error {
	if c.lazy == lazy {
		return nil
	}
	mode := "FULL"
	if lazy {
		mode = "NORMAL"
	}
	if _, err := c.db.ExecContext(context.Background(), "PRAGMA synchronous = "+mode); err != nil {
		return fmt.Errorf("begin to write: %w", err)
	}
	c.lazy = lazy
	return nil
}

// undo takes back what the present turn did. Where SQLite has rolled back by
// itself (a full disk) there is no savepoint any more, and the group fails.
func (g *group) undo() {
	if g.own {
		return // nothing is kept, and the transaction is given up
	}
	if err := g.exec(`ROLLBACK TO turn`); err != nil {
		g.err = err
		return
	}
	if err := g.exec(`RELEASE turn`); err != nil {
		g.err = err
	}
}

func (g *group) exec(query string) error {
	if _, err := g.tx.ExecContext(context.Background(), query); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// end adds the changes of all to the feed and commits. A file that was replaced meanwhile makes
// the commit worthless, so that is looked at once more.
func (g *group) end() {
	if g.tx == nil {
		return
	}
	if g.err != nil || g.kept == 0 {
		g.tx.Rollback() // its error adds nothing: nobody is told of success
		return
	}
	t := g.newTx()
	t.changes = g.changes
	if g.err = t.publish(context.Background()); g.err != nil {
		g.tx.Rollback()
		return
	}
	if err := g.tx.Commit(); err != nil {
		g.err = fmt.Errorf("commit: %w", err)
		return
	}
	g.err = g.committer.present()
}
