package author

import (
	"context"
	"runtime"
	"sync"

	"github.com/stepgate/stepgate/policy/accesslog"
)

// Rehearsal holds access logs against policies: what would have been asked.
// It reads logs once, from the first to the last, and its memory does not
// grow with them. Name logs oldest first: sessions are played in that order.
type Rehearsal struct {
	// Sites are those of the configuration. A line belongs to the site of its
	// host; where it has none, or one that is no site's, to the first.
	Sites []*Site
	// Facts are assumed of every request. Method, Target, ClientIP, Username
	// and Now come from the log.
	Facts  Facts
	Limits Limits
	// Format is that of every line; empty finds it out.
	Format accesslog.Format
	// Workers is how many lines are judged at a time; 0 means one for each
	// processor.
	Workers int
	// Top is how many URLs are listed for each thing needed; 0 means 10.
	Top int
	// Seen, where it is set, is told now and then how many lines were judged.
	// It is called by one goroutine at a time.
	Seen func(lines int64)
	// Compare, where it is set, holds each request against these sites too,
	// in the same order: what changes. Nothing is forecast then.
	Compare []*Site
	// Enforced, where it is set, are the sites by the policy that is enforced
	// while Sites are only watched: the report tells what would change.
	Enforced []*Site
	// Paths keeps the tree of paths, for Report.Tree and Propose.
	Paths bool
}

// batch is a block of lines, and what became of it.
type batch struct {
	*accesslog.Block
	lines  int64
	visits []visit
	done   chan struct{}
}

// Run reads the logs. The error is that of a log that cannot be read, or of
// the context; the report then has what was seen before.
func (r *Rehearsal) Run(ctx context.Context, logs ...accesslog.Log) (*Report, error) {
	if len(r.Sites) == 0 {
		return nil, ErrNoSite
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := r.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	todo, inOrder, read := make(chan *batch, workers), make(chan *batch, 2*workers), make(chan error, 1)
	go func() {
		defer close(todo)
		defer close(inOrder)
		read <- accesslog.Blocks(ctx, logs, func(b *accesslog.Block) bool {
			one := &batch{Block: b, done: make(chan struct{})}
			return send(ctx, inOrder, one) && send(ctx, todo, one)
		})
	}()
	judges := make([]*judge, workers)
	var running sync.WaitGroup
	for i := range judges {
		judges[i] = r.newJudge()
		running.Go(func() { judges[i].work(ctx, todo) })
	}
	future := newForecast(r.Sites, r.Limits)
	var lines int64
	for b := next(ctx, inOrder); b != nil; b = next(ctx, inOrder) {
		select {
		case <-b.done:
		case <-ctx.Done():
			continue
		}
		for i := range b.visits {
			future.see(&b.visits[i])
		}
		lines += b.lines
		if r.Seen != nil {
			r.Seen(lines)
		}
	}
	running.Wait()
	err := ctx.Err()
	if err == nil { // otherwise the reader may be waiting for what never comes
		err = <-read
	}
	return r.report(judges, future), err
}

// next takes from a channel; nil once it is closed or the context is done.
func next(ctx context.Context, from <-chan *batch) *batch {
	select {
	case b := <-from:
		return b
	case <-ctx.Done():
		return nil
	}
}

func send(ctx context.Context, to chan<- *batch, b *batch) bool {
	select {
	case to <- b:
		return true
	case <-ctx.Done():
		return false
	}
}
