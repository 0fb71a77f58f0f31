package session

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// benchEntry is a session as an ordinary one is read from the store, each text
// by itself: of another person each time, with one of forty browsers.
func benchEntry(i int) *Entry {
	n := fmt.Sprint(i)
	same := strings.Clone
	pad := func(s string) string { return s + n }
	e := &Entry{cookie: pad(string(make([]byte, 170))), Session: Session{
		ID: ID(pad("ABCDEFGHIJKLMNOPQRST")), Account: account.ID(pad("ABCDEFGHIJKLMNOPQRST")), Site: same("https://portal.example.gov"), Source: same("local"),
		Address: pad("192.0.2."), UserAgent: fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 100+i%40),
		Proofs: []policy.Proof{{Factor: policy.Factor(same("password")), At: time.Now()}, {Factor: policy.Factor(same("totp")), At: time.Now(), Credential: pad("ABCDEFGHIJKLMNOPQRST")}},
	}}
	e.Owner.Account = account.Account{
		ID: account.ID(same(string(e.Session.Account))), Source: same("local"), Subject: same(string(e.Session.Account)), Username: pad("joe"), Name: pad("Joe Bloggs"),
		Email: pad("joe@example.gov"), Mobile: same("+447700900123"),
		Groups: []string{fmt.Sprint("clerks", i%30), same("users")}, Organisation: same("courts"), Role: account.Role(same("user")),
	}
	return e
}

// heapOf is what is alive after make that was not before.
func heapOf(make func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// A session takes some 1.5 kB, the indexes and the cookie that finds it
// included.
func TestASessionInMemoryIsSmall(t *testing.T) {
	const many, most = 20_000, 1_800
	m := newMemory()
	m.limit(2 * many)
	size := heapOf(func() {
		for i := range many {
			m.store(benchEntry(i))
		}
	}) / many
	if size > most {
		t.Errorf("a session takes %d bytes", size)
	}
	if n := m.numbers().Entries; n != many {
		t.Errorf("%d sessions are in memory", n)
	}
}

// BenchmarkMemory is what a session costs in memory, cookie and index included.
func BenchmarkMemory(b *testing.B) {
	m := newMemory()
	m.limit(1_000_000)
	const many = 100_000
	size := heapOf(func() {
		for i := range many {
			m.store(benchEntry(i))
		}
	})
	for i := 0; b.Loop(); i++ {
		m.store(benchEntry(many + i%many))
	}
	b.ReportMetric(float64(size)/many, "bytes/session")
	runtime.KeepAlive(m)
}

// BenchmarkMillion is the memory of a node that has met a million sessions and
// may hold a hundred thousand.
func BenchmarkMillion(b *testing.B) {
	for range min(b.N, 1) {
		m := newMemory()
		m.limit(100_000)
		runtime.GC()
		var before, at runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range 1_000_000 {
			m.store(benchEntry(i))
			if i == 100_000-1 || i == 1_000_000-1 {
				runtime.GC()
				runtime.ReadMemStats(&at)
				b.ReportMetric(float64(at.HeapAlloc-before.HeapAlloc)/(1<<20), fmt.Sprintf("MiB-after-%d", i+1))
			}
		}
		b.ReportMetric(0, "ns/op")
		runtime.KeepAlive(m)
	}
}
