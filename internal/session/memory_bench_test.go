package session

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// benchEntry is a session as an ordinary one is, of another person each time.
func benchEntry(i int) *Entry {
	n := fmt.Sprint(i)
	pad := func(s string) string { return s + n }
	e := &Entry{cookie: pad(string(make([]byte, 170))), Session: Session{
		ID: ID(pad("ABCDEFGHIJKLMNOPQRST")), Account: account.ID(pad("ABCDEFGHIJKLMNOPQRST")), Site: "https://portal.example.gov", Source: "local",
		Address: pad("192.0.2."), UserAgent: pad("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 "),
		Proofs: []policy.Proof{{Factor: policy.Password, At: time.Now()}, {Factor: policy.TOTP, At: time.Now(), Credential: pad("ABCDEFGHIJKLMNOPQRST")}},
	}}
	e.Owner.Account = account.Account{
		ID: e.Session.Account, Username: pad("joe"), Name: pad("Joe Bloggs"), Email: pad("joe@example.gov"), Mobile: "+447700900123",
		Groups: []string{pad("clerks"), "users"}, Organisation: "courts",
	}
	return e
}

// BenchmarkMemory is what a session costs in memory, cookie and index included.
func BenchmarkMemory(b *testing.B) {
	m := newMemory()
	m.limit(1_000_000)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const many = 100_000
	for i := range many {
		m.store(benchEntry(i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	for i := 0; b.Loop(); i++ {
		m.store(benchEntry(many + i%many))
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/many, "bytes/session")
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
