package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

type options struct {
	binary   string
	rounds   int
	requests int
	parallel int
	sessions int
	heap     string
	only     []string
	postgres string
	peers    []peer
}

func main() {
	if len(os.Args) > 1 && childs[os.Args[1]] != nil {
		exit(childs[os.Args[1]](os.Args[2:]))
	}
	var o options
	flag.StringVar(&o.binary, "binary", "", "the gateway's binary")
	flag.IntVar(&o.rounds, "rounds", 30, "rounds; in each every row has a turn")
	flag.IntVar(&o.requests, "requests", 2000, "requests of a turn; fewer of large answers")
	flag.IntVar(&o.parallel, "parallel", 16, "connections")
	flag.IntVar(&o.sessions, "sessions", 100_000, "sessions of the row that has many")
	flag.StringVar(&o.heap, "heap", "", "`file` that a profile of what the gateway with many sessions has alive at the end goes to")
	flag.StringVar(&o.postgres, "postgres", os.Getenv("STEPGATE_TEST_POSTGRES"), "DSN of a PostgreSQL whose database may be filled; none leaves its rows out")
	flag.Func("only", "rows to measure, by commas; a part of a name will do", func(text string) error {
		o.only = append(o.only, strings.Split(text, ",")...)
		return nil
	})
	flag.Func("peer", "`NAME,PID,ADDRESS,COOKIES`: another gateway that runs already in front of -upstream; several allowed", o.addPeer)
	upstream := flag.String("upstream", "", "address of the application, instead of any free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, o, *upstream))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, o options, upstream string) error {
	if o.binary == "" {
		return errors.New("name the gateway's binary with -binary")
	}
	dir, err := os.MkdirTemp("", "stepgate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, gateways: map[string]*gateway{}}
	defer b.stop()
	if b.upstream, err = b.child("upstream", upstream); err != nil {
		return err
	}
	for _, spec := range specs(o) {
		if !o.wants(spec.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "preparing", spec.name)
		if err := spec.prepare(ctx, b, spec.name); err != nil {
			return fmt.Errorf("%s: %w", spec.name, err)
		}
	}
	if err := b.turns(ctx); err != nil {
		return err
	}
	return b.report(os.Stdout)
}

func (o options) wants(name string) bool {
	return len(o.only) == 0 || slices.ContainsFunc(o.only, func(part string) bool { return strings.Contains(name, part) })
}

// bench has what was prepared.
type bench struct {
	options
	dir      string
	upstream *child
	gateways map[string]*gateway
	children []*child
	rows     []*row
	port     int // the last that was given
}

// row is one line of the table.
type row struct {
	name string
	// take measures one turn.
	take func() (turn, error)
	// memory is what the process has at the end; 0 where that says nothing.
	memory func() (int64, error)
	// live is what of that is alive in its heap; nil where nobody asks.
	live func() (int64, error)
	// beside are the rows that this one is compared with, and bySpeed tells
	// that the comparison is of how many a second, not of CPU time.
	beside  []*row
	bySpeed bool
	results []turn
}

// turns lets every row have a turn to warm up, and one in each round. Who
// begins is another one each time.
func (b *bench) turns(ctx context.Context) error {
	for round := range b.rounds + 1 {
		for i := range b.rows {
			r := b.rows[(round+i)%len(b.rows)]
			if err := ctx.Err(); err != nil {
				return err
			}
			t, err := r.take()
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if round > 0 {
				r.results = append(r.results, t)
			}
		}
		fmt.Fprintf(os.Stderr, "\rround %d of %d", round, b.rounds)
	}
	fmt.Fprintln(os.Stderr)
	return nil
}

func (b *bench) stop() {
	for _, g := range b.gateways {
		g.stop()
	}
	for _, c := range b.children {
		c.stop()
	}
}
