package weld

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/stepgate/stepgate/internal/session"
)

// Patience is how long a request waits for another of its session.
const Patience = 10 * time.Second

var (
	// ErrEnded says that the session ended while the request waited: the app
	// takes its cookie for somebody else.
	ErrEnded = errors.New("weld: the session has ended")
	// ErrBusy says that another request of the session, which may change its
	// person, is still under way.
	ErrBusy = errors.New("weld: another request of the session is under way")
)

// Turns keeps requests of one session apart where one of them may make the
// app take the session's cookie for somebody else: until the app was asked
// who it is now, no other request profits by the session's proofs. It also
// remembers names between the pages of a login. The zero value is ready; it is one process's, outlives a reload, and is safe for
// concurrent use.
type Turns struct {
	// Patience is that of the package where it is zero.
	Patience time.Duration

	mu     sync.Mutex
	queue  map[session.ID]*queue
	typed  typed
	spoilt spoilt
}

// queue is what is under way in one session.
type queue struct {
	changing bool // one that may change the person
	login    bool // the one that is changing is a login
	changed  int  // how many of these there have been
	waiting  int  // such requests that wait
	using    int  // others, up to the beginning of their answers
	holders  int  // all who have it in hand
	// ended is when the mark that the session has ended may go.
	ended time.Time
	wake  chan struct{} // nil where nobody waits
}

// Turn is one request's. Done must be called.
type Turn struct {
	turns   *Turns
	id      session.ID
	queue   *queue
	changes bool
	login   bool
	begun   int  // queue.changed when it began
	doubt   bool // it began while another was changing
	done    bool
}

// Change gives a request that may change the session's person its turn. It
// waits for all others, but no longer than its patience for those that only
// read: their answers are then in doubt.
func (t *Turns) Change(ctx context.Context, id session.ID) (*Turn, error) {
	return t.change(ctx, &Turn{turns: t, id: id, changes: true})
}

// Login is Change for a login of the app.
func (t *Turns) Login(ctx context.Context, id session.ID) (*Turn, error) {
	return t.change(ctx, &Turn{turns: t, id: id, changes: true, login: true})
}

func (t *Turns) change(ctx context.Context, turn *Turn) (*Turn, error) {
	free := func(q *queue) bool { return !q.changing && q.using == 0 }
	late := func(q *queue) bool { return !q.changing }
	return turn, turn.take(ctx, free, late)
}

// Use gives a request that profits by the session's proofs its turn. It waits
// for those that may change the person; what it does after its patience depends
// on what it waits for.
//
// Behind a login it is ErrBusy, for good. Who has an account with a second
// factor of their own, and somebody else's password, could otherwise have the
// app work at that login for longer than our patience, and a GET of theirs reach
// it with the cookie that is the other's by then and with their own proofs.
// Nothing of its answer would come out, but a GET that does something would have
// done it. Honest people lose nothing: a login is short.
//
// Behind anything else, such as a long upload, it goes all the same, in doubt:
// to refuse the pages of a session for as long as a form of it is on its way
// would make portals with uploads, exports and slow reports unusable, and give
// whoever can make one form slow the means to shut the person out. The caller
// asks the app who the cookie's person is before it goes, and again before its
// answer goes out. What is left is an app that changes the person by a form that
// is no watched login and at work for longer than our patience, in the moment
// between the question and the request.
func (t *Turns) Use(ctx context.Context, id session.ID) (*Turn, error) {
	turn := &Turn{turns: t, id: id}
	free := func(q *queue) bool { return !q.changing && q.waiting == 0 }
	late := func(q *queue) bool { return !q.login }
	return turn, turn.take(ctx, free, late)
}

// never is for who waits in vain where their patience ends.
func never(*queue) bool { return false }

// Logins gives a login the values that it carries for itself: until it has
// been judged, nothing else that may change whose they are reaches the app with
// one of them, whosever session it is in. An app that keeps its cookie takes it
// for whoever signed in last. done must be called where it is given.
func (t *Turns) Logins(ctx context.Context, values []Hash) (done func(), err error) {
	return t.values(ctx, values, true)
}

// Shown is for a request that shows the app values which are nobody's, and may
// sign somebody in by them: no login binds one of them until done is called.
func (t *Turns) Shown(ctx context.Context, values []Hash) (done func(), err error) {
	return t.values(ctx, values, false)
}

func (t *Turns) values(ctx context.Context, values []Hash, alone bool) (done func(), err error) {
	free := func(q *queue) bool { return !q.changing && (alone && q.using == 0 || !alone && q.waiting == 0) }
	var turns []*Turn
	done = func() {
		for _, turn := range turns {
			turn.Done()
		}
	}
	// All take them in one order, so that no two wait for each other.
	values = slices.SortedFunc(slices.Values(values), func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
	for _, h := range slices.Compact(values) {
		turn := &Turn{turns: t, id: session.ID("value " + string(h[:])), changes: alone}
		if err := turn.take(ctx, free, never); err != nil {
			done()
			return nil, err
		}
		turns = append(turns, turn)
	}
	return done, nil
}

func (u *Turn) take(ctx context.Context, free, late func(*queue) bool) error {
	t := u.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.hold(u.id)
	u.queue = q
	if u.changes {
		q.waiting++
		defer func() { q.waiting-- }()
	}
	if err := t.await(ctx, q, free); err != nil && (!errors.Is(err, ErrBusy) || !late(q)) {
		u.done = true
		t.drop(u.id, q)
		return err
	}
	u.begun, u.doubt = q.changed, q.changing
	if u.changes {
		q.changing, q.login = true, u.login
		q.changed++
	} else {
		q.using++
	}
	return nil
}

// await waits, with the lock held but while it sleeps, until a queue is free.
func (t *Turns) await(ctx context.Context, q *queue, free func(*queue) bool) error {
	if q.ended.IsZero() && free(q) {
		return nil
	}
	patience := t.Patience
	if patience == 0 {
		patience = Patience
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for q.ended.IsZero() && !free(q) {
		if q.wake == nil {
			q.wake = make(chan struct{})
		}
		wake := q.wake
		t.mu.Unlock()
		var err error
		select {
		case <-wake:
		case <-ctx.Done():
			err = ctx.Err()
		case <-timer.C:
			err = ErrBusy
		}
		t.mu.Lock()
		if err != nil && q.ended.IsZero() {
			return err
		}
	}
	if !q.ended.IsZero() {
		return ErrEnded
	}
	return nil
}

// hold finds or makes the queue of a session.
func (t *Turns) hold(id session.ID) *queue {
	if t.queue == nil {
		t.queue = map[session.ID]*queue{}
	}
	q := t.queue[id]
	if q == nil {
		q = new(queue)
		t.queue[id] = q
	}
	q.holders++
	return q
}

// drop gives a queue back and tells those who wait.
func (t *Turns) drop(id session.ID, q *queue) {
	q.holders--
	if q.wake != nil {
		close(q.wake)
		q.wake = nil
	}
	if q.holders == 0 && q.ended.IsZero() {
		delete(t.queue, id)
	}
}

// Doubtful tells whether another request may have changed the session's
// person since this one began: the app has to be asked before its answer goes
// out.
func (u *Turn) Doubtful() bool {
	u.turns.mu.Lock()
	defer u.turns.mu.Unlock()
	return !u.changes && (u.doubt || u.queue.changed != u.begun)
}

// Done lets the others go on. It may be called again.
func (u *Turn) Done() {
	u.turns.mu.Lock()
	defer u.turns.mu.Unlock()
	if u.done {
		return
	}
	u.done = true
	if u.changes {
		u.queue.changing, u.queue.login = false, false
	} else {
		u.queue.using--
	}
	u.turns.drop(u.id, u.queue)
}

// End marks a session as ended, for those who wait and for requests that
// found it just before. The mark stays until the session would have ended by
// itself.
func (t *Turns) End(id session.ID, until, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for other, q := range t.queue {
		if q.holders == 0 && !now.Before(q.ended) {
			delete(t.queue, other)
		}
	}
	q := t.hold(id)
	q.ended = until
	t.drop(id, q)
}

// Ended tells whether a session was marked so.
func (t *Turns) Ended(id session.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.queue[id]
	return q != nil && !q.ended.IsZero()
}
