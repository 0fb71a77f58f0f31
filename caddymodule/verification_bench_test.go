package caddymodule

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

// verifier is one person who answers with a code again and again.
type verifier struct {
	runtime *runtime
	owner   account.Account
	held    []account.Credential
	entry   *session.Entry
	at      time.Time
	seed    string
	code    string // the last
	address netip.Addr
}

var benchPlace = session.Place{Origin: "https://portal.example.gov", Cookie: "__Host-stepgate", Secure: true}

func newVerifier(b *testing.B, r *runtime, i int) *verifier {
	b.Helper()
	ctx := b.Context()
	owner := account.Account{
		ID: account.NewID(), Source: "local", Username: fmt.Sprint("person", i), Organisation: "default", Role: account.RoleUser, CreatedAt: time.Now().UTC(),
	}
	owner.Subject = string(owner.ID)
	raw := make([]byte, 20)
	rand.Read(raw)
	c := account.Credential{ID: account.NewCredentialID(), Account: owner.ID, Factor: "totp", Label: "app", Secret: raw, CreatedAt: time.Now().UTC()}
	err := r.store.Update(ctx, func(tx store.Tx) error {
		if err := tx.InsertAccount(ctx, owner); err != nil {
			return err
		}
		return tx.InsertCredential(ctx, c)
	})
	if err != nil {
		b.Fatal(err)
	}
	entry, err := r.sessions.Begin(ctx, httptest.NewRecorder(), session.Beginning{
		Place: benchPlace, Owner: owner.ID, Source: "local", Proofs: []policy.Proof{{Factor: policy.Password, At: time.Now()}},
	})
	if err != nil {
		b.Fatal(err)
	}
	return &verifier{runtime: r, owner: owner, held: []account.Credential{c}, entry: entry, at: time.Now(), address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}),
		seed: base32.StdEncoding.EncodeToString(raw)}
}

// compare is the factor's part: a right code of the next step, burnt in the
// write that accepts it.
func (v *verifier) compare(ctx context.Context) (factors.Verified, error) {
	// Once in a million the next step has the code of the last, which is burnt.
	for last := v.code; v.code == last; {
		v.at = v.at.Add(30 * time.Second)
		var err error
		if v.code, err = totp.GenerateCodeCustom(v.seed, v.at, totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix}); err != nil {
			return factors.Verified{}, err
		}
	}
	scope := factors.Scope{Account: v.owner, Session: string(v.entry.Session.ID), Now: v.at}
	return v.runtime.factors.Find(policy.TOTP).Verify(ctx, scope, v.held, nil, factors.Answer{Fields: map[string]string{"code": v.code}})
}

// ceremony is all that the gateway writes for one right code: the try charged
// and given back, the step burnt, the event, the risen session.
func (v *verifier) ceremony(ctx context.Context) error {
	r := v.runtime
	keys, take, err := r.ledger.Charging(r.plan.Charges(throttle.Try{Account: string(v.owner.ID), Factor: "totp", Address: v.address})...)
	if err != nil {
		return err
	}
	var receipt throttle.Receipt
	var proof policy.Proof
	raise := func(s *session.Session) error {
		s.Proofs = []policy.Proof{s.Proofs[0], proof}
		return nil
	}
	v.entry, err = r.sessions.RaiseBy(ctx, httptest.NewRecorder(), benchPlace, v.entry, func(raising session.Raising) (*session.Risen, error) {
		raising.Change = raise
		return r.store.Answer(ctx, ceremony.Tried{
			Account: raising.Account, Session: raising.ID, Counters: keys,
			Charge: func(counters []throttle.Counter) (err error) {
				receipt, err = take(counters)
				return err
			},
			Compare: func(ctx context.Context) (*ceremony.Passed, error) {
				used, err := v.compare(ctx)
				proof = policy.Proof{Factor: policy.TOTP, Credential: string(used.Credential.ID), At: v.at}
				p := &ceremony.Passed{Event: audit.Event{Name: audit.ChallengePassed, Account: string(v.owner.ID), Factor: "totp"}, Raising: raising}
				_, p.Settle = receipt.Success()
				return p, err
			},
		}, raising.Now)
	})
	return err
}

// BenchmarkVerification compares, in one run, right codes a second by 64
// people at once with durable commits a second that one goroutine makes of as
// many bytes as the store's log takes for a small transaction. The metric
// "of-raw" is the ratio: for the factor alone, whose acceptance is one write,
// and for the whole ceremony, which is one as well.
func BenchmarkVerification(b *testing.B) {
	for name, do := range map[string]func(*verifier, context.Context) error{
		"factor":   func(v *verifier, ctx context.Context) error { _, err := v.compare(ctx); return err },
		"ceremony": (*verifier).ceremony,
	} {
		b.Run(name, func(b *testing.B) { benchVerification(b, do) })
	}
}

func benchVerification(b *testing.B, do func(*verifier, context.Context) error) {
	g := startGateway(b, walkSite, nil)
	const people = 64
	all := make([]*verifier, people)
	for i := range all {
		all[i] = newVerifier(b, active.Load(), i)
	}
	raw := rawCommits(b, filepath.Join(g.dir, "raw"), 400)
	b.ResetTimer()
	var group sync.WaitGroup
	for i, v := range all {
		group.Go(func() {
			for range b.N/people + min(1, max(0, b.N%people-i)) {
				if err := do(v, b.Context()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "codes/s")
	b.ReportMetric(raw, "raw-commits/s")
	b.ReportMetric(rate/raw, "of-raw")
}

// rawCommits writes and syncs n times and returns the rate.
func rawCommits(b *testing.B, path string, n int) float64 {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 8<<10)
	begun := time.Now()
	for range n {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(begun).Seconds()
}
