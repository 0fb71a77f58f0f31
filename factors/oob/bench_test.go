package oob_test

import (
	"bytes"
	"context"
	"net/netip"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/keys"
)

// memory keeps codes, one verb at a time.
type memory struct {
	mu   sync.Mutex
	rows map[oob.Slot]oob.Code
}

func (m *memory) Code(_ context.Context, slot oob.Slot) (oob.Code, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held(slot), nil
}

func (m *memory) held(slot oob.Slot) oob.Code {
	if c, ok := m.rows[slot]; ok {
		return c
	}
	return oob.Code{Slot: slot}
}

func (m *memory) ReplaceCode(_ context.Context, slot oob.Slot, change func(oob.Code) (oob.Code, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := change(m.held(slot))
	if err == nil {
		m.rows[slot] = c
	}
	return err
}

func (m *memory) TryCode(_ context.Context, slot oob.Slot, now time.Time, tries int, right func(oob.Code) bool) (oob.Code, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.held(slot)
	if c.Spent || c.Tries >= tries || !now.Before(c.ExpiresAt) {
		if c.Spent && right(c) {
			return oob.Code{}, factors.ErrReplayed
		}
		return oob.Code{}, factors.ErrExpired
	}
	c.Tries++
	ok := right(c)
	c.Spent = ok
	m.rows[slot] = c
	if !ok {
		return oob.Code{}, factors.ErrWrongAnswer
	}
	return c, nil
}

func (m *memory) DropCode(_ context.Context, slot oob.Slot, mac []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.rows[slot]; ok && bytes.Equal(c.MAC, mac) {
		delete(m.rows, slot)
	}
	return nil
}

// outbox keeps what was sent, or fails.
type outbox struct {
	mu   sync.Mutex
	sent []delivery.Message
	fail error
}

func (o *outbox) Send(_ context.Context, m delivery.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	o.sent = append(o.sent, m)
	return nil
}

// budget counts what was spent and given back.
type budget struct {
	mu       sync.Mutex
	spent    []oob.Spending
	back     int
	answered int
	refuse   error
}

func (b *budget) Spend(_ context.Context, s oob.Spending) (func(context.Context) error, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return nil, b.refuse
	}
	b.spent = append(b.spent, s)
	return func(context.Context) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.back++
		return nil
	}, nil
}

func (b *budget) Answered(context.Context, string, account.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered++
	return nil
}

// bench is a factor with all that it talks to.
type bench struct {
	*testing.T
	codes  *memory
	outbox *outbox
	budget *budget
	sms    *oob.Factor
	email  *oob.Factor
	now    time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	ring, err := keys.Create(filepath.Join(t.TempDir(), "stepgate.key"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		T: t, codes: &memory{rows: map[oob.Slot]oob.Code{}}, outbox: new(outbox), budget: new(budget),
		now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	o := oob.Options{Codes: b.codes, Outbox: b.outbox, Budget: b.budget, Keys: ring, Lifetime: 10 * time.Minute}
	b.sms = oob.NewSMS(o, oob.Numbers{Region: "GB", Countries: []string{"GB"}})
	b.email = oob.NewEmail(o)
	return b
}

var (
	joe   = account.Account{ID: "JOE", Username: "joe", Mobile: "+447700900609", Email: "joe@example.test"}
	phone = account.Credential{ID: "PHONE", Account: "JOE", Factor: "sms", Label: "Phone ending 609", Address: "+447700900609"}
	inbox = account.Credential{ID: "INBOX", Account: "JOE", Factor: "email", Label: "E-mail", Address: "joe@example.test"}
	held  = []account.Credential{phone, inbox}
)

func (b *bench) scope() factors.Scope {
	return factors.Scope{
		Account: joe, Session: "S1", Site: "https://portal.example.gov:8443", SiteName: "The Portal", Purpose: "step-up",
		Transaction: "T1", Address: netip.MustParseAddr("192.0.2.7"), Now: b.now,
	}
}

func answer(code string) factors.Answer {
	return factors.Answer{Fields: map[string]string{"code": code, "action": "verify"}}
}

func pressed(fields ...string) factors.Answer {
	a := factors.Answer{Fields: map[string]string{"action": fields[0]}}
	for i := 1; i < len(fields); i += 2 {
		a.Fields[fields[i]] = fields[i+1]
	}
	return a
}

// send asks for a code by text and returns the one that went out.
func (b *bench) send() string {
	b.Helper()
	if _, _, err := b.sms.Prepare(b.Context(), b.scope(), held, nil, true); err != nil {
		b.Fatal(err)
	}
	return b.last()
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// last is the code of the last message.
func (b *bench) last() string {
	b.Helper()
	b.outbox.mu.Lock()
	defer b.outbox.mu.Unlock()
	if len(b.outbox.sent) == 0 {
		b.Fatal("nothing was sent")
	}
	return sixDigits.FindString(b.outbox.sent[len(b.outbox.sent)-1].Body)
}

func (b *bench) verify(code string) error {
	_, err := b.sms.Verify(b.Context(), b.scope(), held, nil, answer(code))
	return err
}

// other is a code that is not the given one.
func other(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}
