package audit

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/keys"
)

func full() Event {
	return Event{
		At: noon, Name: StepUpRequired, Reference: "7KQ49-XWM2C", Account: "ACC", Actor: "ACT", Organisation: "default",
		Session: "HASH", Site: "https://portal.example.gov", Factor: "totp", Credential: "CRED", Levels: []string{"mfa", "fresh_key"},
		Rule: "/cases/* Caddyfile:12", Address: "192.0.2.1", UserAgent: `Agent "1" <x>`, Outcome: "step-up", Reason: "rule",
		Detail: []Field{{"method", "GET"}}, Explanation: []byte(`{"rule": 1}`),
	}
}

// The canonical form is a format: what was written must verify and read for
// years. This test may gain members, it must not change.
func TestCanonicalFormStaysAsItIs(t *testing.T) {
	got, err := encode(full().Clean())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"datetime":"2026-03-01T12:00:00.123Z","event":"stepup_required","level":"INFO","reference":"7KQ49-XWM2C",` +
		`"account":"ACC","actor":"ACT","organisation":"default","session":"HASH","site":"https://portal.example.gov",` +
		`"factor":"totp","credential":"CRED","levels":["mfa","fresh_key"],"rule":"/cases/* Caddyfile:12","source_ip":"192.0.2.1",` +
		`"useragent":"Agent \"1\" \u003cx\u003e","outcome":"step-up","reason":"rule","detail":[{"key":"method","value":"GET"}],` +
		`"explanation":{"rule":1}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestSealIsDeterministic(t *testing.T) {
	c := newChain(t)
	last := Link{Seq: 41, Hash: []byte("previous")}
	first, err := c.Seal(last, full())
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Seal(last, full())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	if first.Seq != 42 {
		t.Errorf("seq %d, want 42", first.Seq)
	}
	for name, other := range map[string]Link{
		"another number":   {Seq: 40, Hash: []byte("previous")},
		"another previous": {Seq: 41, Hash: []byte("previouS")},
		"no previous":      {Seq: 41},
	} {
		r, err := c.Seal(other, full())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(r.Hash, first.Hash) {
			t.Errorf("%s gives the same hash", name)
		}
	}
}

func TestRecordsReadBackAsTheyWereSealed(t *testing.T) {
	sealed, err := newChain(t).Seal(Link{}, full())
	if err != nil {
		t.Fatal(err)
	}
	read, err := sealed.Row().Record()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sealed, read); diff != "" {
		t.Error(diff)
	}
}

func TestSealRefusesNamesThatAreNone(t *testing.T) {
	for _, name := range []Name{"", "authn_login_success\n", "made_up"} {
		if _, err := newChain(t).Seal(Link{}, Event{At: noon, Name: name}); !errors.Is(err, ErrUnknownName) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTrailVerifiesAcrossARotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stepgate.key")
	ring, err := keys.Create(path, noon)
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{chain: NewChain(ring)}
	for range 3 {
		for range 2 {
			if _, err := m.AppendEvent(t.Context(), full()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := ring.Rotate(path, noon); err != nil {
			t.Fatal(err)
		}
	}
	if got := verify(t, m.chain, m.rows, Expectation{}); got.Break != nil || got.Records != 6 {
		t.Errorf("%+v", got.Break)
	}
}

func BenchmarkSeal(b *testing.B) {
	c := newChain(b)
	b.ReportAllocs()
	for b.Loop() {
		c.Seal(Link{Seq: 1, Hash: make([]byte, 32)}, full())
	}
}

func BenchmarkVerify(b *testing.B) {
	m := trail(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		m.chain.Verify(rowsOf(m.rows), Expectation{})
	}
}
