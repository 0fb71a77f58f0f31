package storetest

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/store"
)

var roomy = kept.Bounds{AccountRequests: 10, AccountBytes: 1 << 20, TotalBytes: 1 << 20}

func newKept(owner account.ID, size int64) kept.Request {
	return kept.Request{
		ID:    kept.NewID(),
		Owner: kept.Owner{Account: owner, Browser: kept.BrowserOf("one"), Site: "https://portal.example.gov"},
		Head: kept.Head{
			Method: "POST", Target: "/pay?x=%2F", Header: http.Header{"Content-Type": {"text/plain"}}, Length: size,
			Content: kept.Content{Fields: []string{"amount"}, Files: []string{"Zürich.pdf"}},
		},
		Size: size, KeptAt: Noon, ExpiresAt: Noon.Add(kept.TTL),
	}
}

func keptEvent() audit.Event { return audit.Event{At: Noon, Name: audit.RequestKept} }

// keep keeps a request whose chunks these are.
func (b *bench) keep(q kept.Request, chunks ...string) {
	b.Helper()
	b.must(b.BeginKept(b.Context(), q, roomy))
	for i, c := range chunks {
		b.must(b.AddKeptChunk(b.Context(), q.ID, i, []byte(c)))
	}
	b.must(b.FinishKept(b.Context(), q, keptEvent()))
}

// holds fails the test unless exactly these of all requests can be read.
func (b *bench) holds(all []kept.Request, want ...kept.Request) {
	b.Helper()
	held, wanted := map[kept.ID]bool{}, map[kept.ID]bool{}
	for _, q := range all {
		if _, err := b.KeptRequest(b.Context(), q.ID, Noon); err == nil {
			held[q.ID] = true
		} else {
			b.is(err, kept.ErrGone)
		}
	}
	for _, q := range want {
		wanted[q.ID] = true
	}
	b.same(held, wanted)
}

func testKept(t *testing.T, f *fixture) {
	f.run(t, "ReadBack", func(t *testing.T, b *bench) {
		q := newKept(b.person("jo").ID, 5)
		b.keep(q, "abc", "\x00\xff")
		got, err := b.KeptRequest(t.Context(), q.ID, Noon)
		b.must(err)
		b.same(got, q)
		for i, want := range []string{"abc", "\x00\xff"} {
			chunk, err := b.KeptChunk(t.Context(), q.ID, i)
			b.must(err)
			b.same(string(chunk), want)
		}
		_, err = b.KeptChunk(t.Context(), q.ID, 2)
		b.is(err, kept.ErrGone)
		events, err := b.Events(t.Context(), audit.Query{})
		if b.must(err); len(events) != 1 {
			t.Errorf("%d events of one request", len(events))
		}
	})
	f.run(t, "UnseenUntilWhole", func(t *testing.T, b *bench) {
		q := newKept(b.person("jo").ID, 3)
		b.must(b.BeginKept(t.Context(), q, roomy))
		b.is(b.AddKeptChunk(t.Context(), q.ID, 1, []byte("b")), kept.ErrGone)
		b.must(b.AddKeptChunk(t.Context(), q.ID, 0, []byte("a")))
		b.is(b.AddKeptChunk(t.Context(), q.ID, 0, []byte("a")), kept.ErrGone)
		_, err := b.KeptRequest(t.Context(), q.ID, Noon)
		b.is(err, kept.ErrGone)
		b.is(b.RedeemKept(t.Context(), q.ID, Noon, keptEvent()), kept.ErrGone)
		b.must(b.FinishKept(t.Context(), q, keptEvent()))
		b.is(b.FinishKept(t.Context(), q, keptEvent()), kept.ErrGone)
		b.is(b.AddKeptChunk(t.Context(), q.ID, 1, []byte("b")), kept.ErrGone)
	})
	f.run(t, "OnlyForAccountsThatMaySignIn", func(t *testing.T, b *bench) {
		b.is(b.BeginKept(t.Context(), newKept("nobody", 1), roomy), account.ErrNotFound)
		a := b.person("jo")
		a.SuspendedAt = Noon
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateAccount(ctx, a) })
		b.is(b.BeginKept(t.Context(), newKept(a.ID, 1), roomy), account.ErrNotFound)
	})
	f.run(t, "RedeemedOnce", func(t *testing.T, b *bench) {
		q := newKept(b.person("jo").ID, 3)
		b.keep(q, "abc")
		b.oneWinner(race(callers, func(int) error { return b.RedeemKept(t.Context(), q.ID, Noon, keptEvent()) }), kept.ErrContinued)
		got, err := b.KeptRequest(t.Context(), q.ID, Noon)
		if b.must(err); !got.Continued {
			t.Error("a continued request does not say so")
		}
		events, err := b.Events(t.Context(), audit.Query{})
		if b.must(err); len(events) != 2 {
			t.Errorf("%d events of a request kept and continued once", len(events))
		}
		_, err = b.KeptChunk(t.Context(), q.ID, 0)
		b.must(err)
		b.must(b.DropKeptBody(t.Context(), q.ID))
		_, err = b.KeptChunk(t.Context(), q.ID, 0)
		b.is(err, kept.ErrGone)
		b.is(b.RedeemKept(t.Context(), q.ID, Noon, keptEvent()), kept.ErrContinued)
	})
	f.run(t, "BodyStaysUntilContinued", func(t *testing.T, b *bench) {
		q := newKept(b.person("jo").ID, 3)
		b.keep(q, "abc")
		b.must(b.DropKeptBody(t.Context(), q.ID))
		_, err := b.KeptChunk(t.Context(), q.ID, 0)
		b.must(err)
	})
	f.run(t, "OverAtItsEnd", func(t *testing.T, b *bench) {
		q := newKept(b.person("jo").ID, 3)
		b.keep(q, "abc")
		_, err := b.KeptRequest(t.Context(), q.ID, q.ExpiresAt.Add(-1))
		b.must(err)
		_, err = b.KeptRequest(t.Context(), q.ID, q.ExpiresAt)
		b.is(err, kept.ErrGone)
		b.is(b.RedeemKept(t.Context(), q.ID, q.ExpiresAt, keptEvent()), kept.ErrGone)
		b.must(b.Purge(t.Context(), q.ExpiresAt.Add(-1)))
		b.holds([]kept.Request{q}, q)
		b.must(b.Purge(t.Context(), q.ExpiresAt))
		b.holds([]kept.Request{q})
		_, err = b.KeptChunk(t.Context(), q.ID, 0)
		b.is(err, kept.ErrGone)
	})
	f.run(t, "Dropped", func(t *testing.T, b *bench) {
		q := newKept(b.person("jo").ID, 3)
		b.keep(q, "abc")
		b.must(b.DropKept(t.Context(), q.ID))
		b.must(b.DropKept(t.Context(), q.ID))
		b.holds([]kept.Request{q})
		_, err := b.KeptChunk(t.Context(), q.ID, 0)
		b.is(err, kept.ErrGone)
	})
	f.run(t, "OldestOfAnAccountMakeRoom", testKeptRoom)
	f.run(t, "RoomOfAllIsBounded", func(t *testing.T, b *bench) {
		bounds := kept.Bounds{AccountRequests: 10, AccountBytes: 100, TotalBytes: 100}
		one, two := newKept(b.person("jo").ID, 60), newKept(b.person("ann").ID, 60)
		b.must(b.BeginKept(t.Context(), one, bounds))
		b.is(b.BeginKept(t.Context(), two, bounds), kept.ErrFull)
		one.Size = 40 // it was shorter than it might have been
		b.must(b.FinishKept(t.Context(), one, keptEvent()))
		b.must(b.BeginKept(t.Context(), two, bounds))
		b.is(b.BeginKept(t.Context(), newKept(b.person("eve").ID, 1), bounds), kept.ErrFull)
		b.must(b.RedeemKept(t.Context(), one.ID, Noon, keptEvent()))
		b.must(b.BeginKept(t.Context(), newKept(b.person("kim").ID, 40), bounds))
	})
	f.run(t, "RoomIsNotGivenTwiceInARace", func(t *testing.T, b *bench) {
		var owners []account.ID
		for i := range callers {
			owners = append(owners, b.person(numbered("p", i)).ID)
		}
		bounds := kept.Bounds{AccountRequests: 10, AccountBytes: 100, TotalBytes: 100}
		given := 0
		for _, err := range race(callers, func(i int) error { return b.BeginKept(t.Context(), newKept(owners[i], 30), bounds) }) {
			if err == nil {
				given++
			} else {
				b.is(err, kept.ErrFull)
			}
		}
		if given != 3 {
			t.Errorf("room for 3 was given %d times", given)
		}
	})
	f.run(t, "EndWithTheAccountsTransactions", func(t *testing.T, b *bench) {
		a, other := b.person("jo"), b.person("other")
		whole, written, theirs := newKept(a.ID, 3), newKept(a.ID, 3), newKept(other.ID, 3)
		b.keep(whole, "abc")
		b.keep(theirs, "abc")
		b.must(b.BeginKept(t.Context(), written, roomy))
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DropTransactions(ctx, a.ID) })
		b.holds([]kept.Request{whole, theirs}, theirs)
		b.is(b.FinishKept(t.Context(), written, keptEvent()), kept.ErrGone)
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccount(ctx, other.ID) })
		b.holds([]kept.Request{theirs})
	})
	f.run(t, "LargeBody", testLargeBody)
}

// testLargeBody keeps a body of two chunks of full length and one that is
// shorter.
func testLargeBody(t *testing.T, b *bench) {
	full := bytes.Repeat([]byte("0123456789abcdef"), kept.ChunkBytes/16)
	other := bytes.Repeat([]byte("fedcba9876543210"), kept.ChunkBytes/16)
	body := [][]byte{full, other, []byte("the end")}
	q := newKept(b.person("jo").ID, int64(2*kept.ChunkBytes+7))
	bounds := kept.Bounds{AccountRequests: 10, AccountBytes: 2 * q.Size, TotalBytes: 10 * q.Size}
	b.must(b.BeginKept(t.Context(), q, bounds))
	b.is(b.AddKeptChunk(t.Context(), q.ID, 1, full), kept.ErrGone)
	for i, chunk := range body {
		b.must(b.AddKeptChunk(t.Context(), q.ID, i, chunk))
		b.is(b.AddKeptChunk(t.Context(), q.ID, i, chunk), kept.ErrGone)
	}
	b.must(b.FinishKept(t.Context(), q, keptEvent()))
	b.is(b.AddKeptChunk(t.Context(), q.ID, 3, full), kept.ErrGone)
	reads := func(want error) {
		t.Helper()
		for i, chunk := range body {
			got, err := b.KeptChunk(t.Context(), q.ID, i)
			if b.is(err, want); want == nil && !bytes.Equal(got, chunk) {
				t.Errorf("chunk %d came back changed", i)
			}
		}
	}
	reads(nil)
	_, err := b.KeptChunk(t.Context(), q.ID, 3)
	b.is(err, kept.ErrGone)
	b.must(b.DropKeptBody(t.Context(), q.ID)) // which is not continued
	b.must(b.Purge(t.Context(), Noon))
	reads(nil)
	b.must(b.RedeemKept(t.Context(), q.ID, Noon, keptEvent()))
	reads(nil)
	b.must(b.DropKeptBody(t.Context(), q.ID))
	reads(kept.ErrGone)
}

func testKeptRoom(t *testing.T, b *bench) {
	a, other := b.person("jo"), b.person("other")
	bounds := kept.Bounds{AccountRequests: 3, AccountBytes: 100, TotalBytes: 1000}
	begin := func(owner account.ID, age time.Duration, size int64) kept.Request {
		q := newKept(owner, size)
		q.KeptAt = Noon.Add(-age)
		b.must(b.BeginKept(t.Context(), q, bounds))
		b.must(b.FinishKept(t.Context(), q, keptEvent()))
		return q
	}
	theirs := begin(other.ID, 9*time.Minute, 100)
	one, two, three := begin(a.ID, 5*time.Minute, 10), begin(a.ID, 4*time.Minute, 10), begin(a.ID, 3*time.Minute, 10)
	all := []kept.Request{theirs, one, two, three}
	b.holds(all, all...)
	four := begin(a.ID, 2*time.Minute, 10)
	all = append(all, four)
	b.holds(all, theirs, two, three, four)
	five := begin(a.ID, time.Minute, 85)
	all = append(all, five)
	b.holds(all, theirs, four, five)
}
