package challenge

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
)

// posted takes what waits in the outbox: the subject and the body of each.
func (k *rig) posted() []string {
	k.t.Helper()
	kept, err := k.db.ClaimMessages(k.t.Context(), k.clock().Add(time.Second), k.clock().Add(1000*time.Hour), 100)
	if err != nil {
		k.t.Fatal(err)
	}
	var all []string
	for _, m := range kept {
		all = append(all, m.Subject+"\n"+m.Body)
	}
	return all
}

// toldRig tells people by e-mail.
func toldRig(t *testing.T) (*rig, account.Account) {
	k := newRig(t, func(k *rig) {
		k.Notices = &people.Notices{Name: "Portal", Origin: rigOrigin, Offers: func(string) bool { return true }}
	})
	jo := k.person("jo")
	k.update(func(ctx context.Context, tx store.Tx) error {
		jo.Email = "jo@example.test"
		return tx.UpdateAccount(ctx, jo)
	})
	return k, jo
}

func TestASignInFromSomewhereNewAfterALongTimeIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		before string // where the last sign-in came from, "" for none
		ago    time.Duration
		told   bool
	}{
		"the first of all":               {"", 0, false},
		"from elsewhere, a week ago":     {"198.51.100.9", 7 * 24 * time.Hour, false},
		"from elsewhere, long ago":       {"198.51.100.9", 31 * 24 * time.Hour, true},
		"from the same network long ago": {"192.0.2.200", 31 * 24 * time.Hour, false},
	} {
		k, jo := toldRig(t)
		if c.before != "" {
			e := audit.Event{At: k.clock().Add(-c.ago), Name: audit.LoginSuccess, Account: string(jo.ID), Address: c.before}
			if _, err := k.db.AppendEvent(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		b := k.browser()
		b.signIn("/.stepgate/sign-in", "jo")
		got := k.posted()
		if (len(got) == 1) != c.told || len(got) > 1 || b.visitor() == nil {
			t.Errorf("%s: told %q", name, got)
		}
		if c.told && (!strings.Contains(got[0], "from somewhere new") || !strings.Contains(got[0], "192.0.2.7")) {
			t.Errorf("%s: told %q", name, got)
		}
		if names := k.events(); !slices.Contains(names, audit.LoginSuccess) {
			t.Errorf("%s: the trail has %v", name, names)
		}
	}
}

// askedStore keeps how many events were asked for, each time.
type askedStore struct {
	Store
	limits []int
}

func (s *askedStore) Events(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	s.limits = append(s.limits, q.Limit)
	return s.Store.Events(ctx, q)
}

// TestASignInReadsOneOfThoseBefore holds that only one after a long absence
// reads where the others came from: they are twenty.
func TestASignInReadsOneOfThoseBefore(t *testing.T) {
	k, _ := toldRig(t)
	k.browser().signIn("/.stepgate/sign-in", "jo")
	asked := &askedStore{Store: k.Store}
	k.Store = asked
	k.browser().signIn("/.stepgate/sign-in", "jo")
	if !slices.Equal(asked.limits, []int{1}) {
		t.Errorf("asked for %v events", asked.limits)
	}
}

func TestANewCredentialIsToldInItsTransaction(t *testing.T) {
	k, _ := toldRig(t)
	b := k.browser()
	b.signIn("/.stepgate/sign-in", "jo")
	page := b.open("/.stepgate/enrol/totp")
	_, rest, _ := strings.Cut(page.text, `data-stepgate="totp-secret">`)
	secret, _, _ := strings.Cut(rest, "<")
	if s := b.send(page, map[string]string{"code": k.codeOf(secret)}); s.status != 200 || !strings.Contains(s.text, "backup-code") {
		t.Fatalf("%d:\n%s", s.status, s.text)
	}
	got := k.posted()
	if len(got) != 2 || !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "was added to your account: Authenticator app") }) {
		t.Errorf("told %q", got)
	}
}
