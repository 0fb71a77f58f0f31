package sqldb_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/internal/store/sqldb"
)

// openTrail is a trail in a new SQLite store.
func openTrail(t testing.TB) (*sqldb.DB, *audit.Chain) {
	t.Helper()
	dir := t.TempDir()
	ring, err := keys.Create(filepath.Join(dir, "stepgate.key"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	chain := audit.NewChain(ring)
	db, err := sqldb.OpenSQLite(t.Context(), filepath.Join(dir, "stepgate.db"), sqldb.Options{Ring: ring, Chain: chain})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, chain
}

func record(t *testing.T, db *sqldb.DB, n int) {
	t.Helper()
	for range n {
		if _, err := db.AppendEvent(t.Context(), audit.Event{Name: audit.LoginFail, Account: `a"b]c\`, Outcome: "fail"}); err != nil {
			t.Fatal(err)
		}
	}
}

// receiver is a syslog receiver that can be away.
type receiver struct {
	t    *testing.T
	mu   sync.Mutex
	l    net.Listener
	addr string
	conn []net.Conn
	got  map[int64]int
}

func (r *receiver) listen() {
	r.t.Helper()
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	r.l = l
	r.mu.Unlock()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conn = append(r.conn, conn)
			r.mu.Unlock()
			go r.read(conn)
		}
	}()
}

func (r *receiver) read(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		size, err := in.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSpace(size))
		if err != nil {
			r.t.Errorf("frame %q", size)
			return
		}
		message := make([]byte, n)
		if _, err := io.ReadFull(in, message); err != nil {
			return
		}
		head, line, ok := strings.Cut(string(message), "] \ufeff")
		var place struct{ Seq int64 }
		if !ok || json.Unmarshal([]byte(line), &place) != nil || !strings.HasPrefix(head, "<84>1 ") || !strings.Contains(head, `account="a\"b\]c\\"`) {
			r.t.Errorf("message %q", message)
		}
		r.mu.Lock()
		r.got[place.Seq]++
		r.mu.Unlock()
	}
}

// leave closes all that it has.
func (r *receiver) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.l.Close()
	for _, c := range r.conn {
		c.Close()
	}
	r.conn = nil
}

func (r *receiver) has(upTo int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for seq := int64(1); seq <= upTo; seq++ {
		if r.got[seq] == 0 {
			return false
		}
	}
	return true
}

func (r *receiver) await(upTo int64) {
	r.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !r.has(upTo); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("not all of %d records came: %d did", upTo, len(r.got))
		}
	}
}

func TestAReceiverThatIsAwayMissesNothing(t *testing.T) {
	db, _ := openTrail(t)
	r := &receiver{t: t, addr: legacytest.FreeAddr(t), got: map[int64]int{}}
	r.listen()
	run := func(ahead time.Duration) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			f := &audit.Forwarder{
				Name: "siem", Rows: db, Receivers: db, Now: func() time.Time { return time.Now().Add(ahead) }, Report: func(error) {},
				Open: func(ctx context.Context) (audit.Sink, error) {
					conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.addr)
					if err != nil {
						return nil, err
					}
					return audit.NewStream(conn, time.Now, audit.SyslogFrame("node-1")), nil
				},
			}
			f.Run(ctx)
		})
		return func() { cancel(); done.Wait() }
	}
	stop := run(0)
	record(t, db, 5)
	r.await(5)
	r.leave()
	record(t, db, 450)
	r.listen()
	r.await(455)
	stop()
	record(t, db, 3)
	// The node that sent is gone without a word; another takes over when its
	// hold has ended.
	if _, held, err := db.HoldReceiver(t.Context(), "siem", "other", time.Now().Add(time.Minute), time.Now().Add(time.Minute)); err != nil || !held {
		t.Fatal(held, err)
	}
	stop = run(2 * time.Minute)
	defer stop()
	r.await(458)
}

func TestOneNodeSendsAtATime(t *testing.T) {
	db, _ := openTrail(t)
	now := time.Now()
	hold := func(holder string, at time.Time) (int64, bool) {
		t.Helper()
		seq, held, err := db.HoldReceiver(t.Context(), "siem", holder, at, at.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return seq, held
	}
	if seq, held := hold("a", now); seq != 0 || !held {
		t.Error("the first does not hold it")
	}
	if _, held := hold("b", now); held {
		t.Error("two hold it")
	}
	for _, move := range []struct {
		holder string
		seq    int64
	}{{"a", 7}, {"b", 99}, {"a", 3}} {
		if err := db.MoveReceiver(t.Context(), "siem", move.holder, move.seq); err != nil {
			t.Fatal(err)
		}
	}
	if seq, held := hold("b", now.Add(2*time.Minute)); seq != 7 || !held {
		t.Errorf("after the hold of the first has ended: %d, %v", seq, held)
	}
}
