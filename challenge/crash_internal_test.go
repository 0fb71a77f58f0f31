package challenge

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/factors/totp"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
)

// markedPasswords takes every password and hashes none.
type markedPasswords struct{}

func (markedPasswords) Check(account.Secret, account.Account) error { return nil }
func (markedPasswords) Hash(_ context.Context, p account.Secret) (string, error) {
	return "hash of " + string(p.Reveal()), nil
}

// linked lets a rig send links and texts, to out, and tell of what was done.
func (k *rig) linked(out *texts) {
	k.offer(&totp.Factor{Steps: k.db}, oob.NewSMS(oob.Options{
		Codes: k.db, Outbox: out, Budget: freeBudget{}, Keys: k.ring, Lifetime: 10 * time.Minute,
	}, oob.Numbers{Region: "GB", Countries: []string{"GB"}}))
	k.Links = &people.Links{
		Origin: rigOrigin, Address: func(purpose, token string) string { return "/.stepgate/" + purpose + "/" + token },
		Letter:  func(_ string, _ account.Account, link string) delivery.Message { return delivery.Message{Body: link} },
		Notices: &people.Notices{Name: "Portal", Origin: rigOrigin, Offers: func(channel string) bool { return channel == delivery.Email }},
		Mail:    func() bool { return true }, Wake: func() {},
	}
	k.People = &people.People{Store: store.ForPeople(k.db), Passwords: markedPasswords{}, Region: "GB", Now: k.clock, Links: k.Links}
	k.Judge = func(account.Secret, account.Account, bool) (string, []any) { return "", nil }
	k.Strength = func(account.Secret) string { return "good" }
}

// ended is what a link's ceremony leaves when it is over.
type ended struct {
	password          string
	phones            int
	open              bool
	changed, enrolled int
	told              int
}

// endedFor looks at what became of the link of a purpose for an account.
func (k *rig) endedFor(a account.Account, link string) ended {
	k.t.Helper()
	ctx := k.t.Context()
	var e ended
	var err error
	if e.password, err = k.db.PasswordHash(ctx, a.ID); err != nil && !errors.Is(err, account.ErrNotFound) {
		k.t.Fatal(err)
	}
	held, err := k.db.Credentials(ctx, a.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	e.phones = len(held)
	parts := strings.Split(link, "/")
	_, err = k.db.Transaction(ctx, ceremony.LinkID(parts[2], parts[3]), k.clock())
	e.open = err == nil
	for name, count := range map[audit.Name]*int{audit.PasswordChange: &e.changed, audit.FactorEnrolled: &e.enrolled} {
		records, err := k.db.Events(ctx, audit.Query{Account: string(a.ID), Names: []audit.Name{name}})
		if err != nil {
			k.t.Fatal(err)
		}
		*count = len(records)
	}
	for _, body := range k.waiting() {
		if strings.Contains(body, "A new password was chosen") {
			e.told++
		}
	}
	return e
}

// waiting are the messages in the outbox, which stay there.
func (k *rig) waiting() []string {
	k.t.Helper()
	kept, err := k.db.ClaimMessages(k.t.Context(), k.clock().Add(time.Second), k.clock(), 100)
	if err != nil {
		k.t.Fatal(err)
	}
	var all []string
	for _, m := range kept {
		all = append(all, m.Body)
	}
	return all
}

// codeIn is the code of a message.
func codeIn(body string) string { return regexp.MustCompile(`\b\d{6}\b`).FindString(body) }

// finish goes a link's way to its end, in a browser of its own.
func (k *rig) finish(link, password string, out *texts) sheet {
	b := k.browser()
	s := b.send(b.open(link), map[string]string{"action": "begin"})
	s = b.send(s, map[string]string{"code": codeIn(out.sent[len(out.sent)-1].Body), "action": "verify"})
	return b.send(s, map[string]string{"new_password": password})
}

// TestAKillLeavesALinkUsedOrUnused goes the whole way of a registration and of
// a reset, and looks at what a kill after each write would have left: either
// all has happened, or nothing that can be used, and then the person goes the
// way from its beginning. What was answered has happened.
func TestAKillLeavesALinkUsedOrUnused(t *testing.T) {
	for _, purpose := range []string{ceremony.Register, ceremony.ResetPassword} {
		t.Run(purpose, func(t *testing.T) {
			t.Parallel()
			out := new(texts)
			k := newRig(t, func(k *rig) { k.linked(out) })
			joe := k.person("joe")
			before := ended{open: true}
			after := ended{password: "hash of kettle lantern 91", changed: 1, told: 1}
			if purpose == ceremony.Register {
				after.phones, after.enrolled = 1, 1
			} else {
				before.password = "hash of the old one"
			}
			k.update(func(ctx context.Context, tx store.Tx) error {
				joe.Mobile = "+447700900609"
				if before.password == "" {
					return tx.UpdateAccount(ctx, joe)
				}
				return errors.Join(tx.UpdateAccount(ctx, joe), tx.SetPasswordHash(ctx, joe.ID, before.password))
			})
			send := k.People.Invite
			if purpose == ceremony.ResetPassword {
				send = k.People.SendReset
			}
			if _, err := send(t.Context(), people.Operator(), people.Who{ID: joe.ID}, ""); err != nil {
				t.Fatal(err)
			}
			link := k.waiting()[0]
			k.bench.Crashes.Begin()
			if s := k.finish(link, "kettle lantern 91", out); s.status != http.StatusOK || !strings.Contains(s.at, "/sign-in") {
				t.Fatalf("after the last step: %d at %s\n%s", s.status, s.at, s.text)
			}
			left := k.bench.Crashes.Left()
			undone, done := 0, 0
			for i, file := range left {
				var again texts
				n := rigOver(t, k.bench.After(file, 2*time.Minute), func(n *rig) { n.linked(&again) })
				switch got := n.endedFor(joe, link); got {
				case before:
					if done > 0 {
						t.Errorf("write %d takes back what was done", i)
					}
					undone++
					n.wantNothingUsable(joe, link, before)
					if s := n.finish(link, "kettle lantern 91", &again); s.status != http.StatusOK || n.endedFor(joe, link) != after {
						t.Errorf("after write %d the person cannot go on: %d, %+v", i, s.status, n.endedFor(joe, link))
					}
				case after:
					done++
				default:
					t.Errorf("write %d leaves it half done: %+v", i, got)
				}
			}
			if undone < 3 || done == 0 || k.endedFor(joe, link) != after {
				t.Errorf("%d writes before and %d after it was done; at last %+v", undone, done, k.endedFor(joe, link))
			}
		})
	}
}

// wantNothingUsable tries to choose a password without having proved anything
// in this browser.
func (k *rig) wantNothingUsable(a account.Account, link string, before ended) {
	k.t.Helper()
	b := k.browser()
	s := b.open(link)
	if strings.Contains(s.text, `name="new_password"`) {
		k.t.Error("another browser is asked for a password")
	}
	b.send(s, map[string]string{"new_password": "stolen lantern 91"})
	if got := k.endedFor(a, link); got != before {
		k.t.Errorf("another browser chose a password: %+v", got)
	}
}
