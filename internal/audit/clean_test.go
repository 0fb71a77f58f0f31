package audit

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestCleanTextShowsWhatItDoesNotKeep(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"", ""},
		{"Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"},
		{"Zoë Müller, 東京, Łódź", "Zoë Müller, 東京, Łódź"},
		{"joe\r\nauthn_login_success", `joe\u000d\u000aauthn_login_success`},
		{"\x1b[31mred", `\u001b[31mred`},
		{"a\x00b\tc\x7f", `a\u0000b\u0009c\u007f`},
		{"c1 \u0085\u009b", `c1 \u0085\u009b`},
		{"admin\u202egnp.exe", `admin\u202egnp.exe`},
		{"\u2066isolate\u2069", `\u2066isolate\u2069`},
		{"zero\u200bwidth\ufeff", `zero\u200bwidth\ufeff`},
		{"line\u2028para\u2029", `line\u2028para\u2029`},
		{"no-break\u00a0space", `no-break\u00a0space`},
		{"tag\U000e0041", `tag\U000e0041`},
		{"private\ue000", `private\ue000`},
		{"bad\xff\xc0\xafutf-8", `bad\xff\xc0\xafutf-8`},
		{"half\xe2\x82", `half\xe2\x82`},
		{strings.Repeat("x", 64), strings.Repeat("x", 64)},
		{strings.Repeat("x", 65), strings.Repeat("x", 61) + "…"},
		{strings.Repeat("é", 33), strings.Repeat("é", 30) + "…"},
		{strings.Repeat("\n", 11), strings.Repeat(`\u000a`, 10) + "…"},
		{strings.Repeat("x", 60) + "\n", strings.Repeat("x", 60) + "…"},
	} {
		if got := cleanText(row.in, 64); got != row.want {
			t.Errorf("%q became %q, want %q", row.in, got, row.want)
		}
	}
}

func FuzzCleanText(f *testing.F) {
	f.Add("plain")
	f.Add("a\u202eb\r\n\xff" + strings.Repeat("é\n", 40))
	f.Fuzz(func(t *testing.T, s string) {
		got := cleanText(s, 64)
		if len(got) > 64 || !utf8.ValidString(got) || !allPlain(got) {
			t.Errorf("%q became %q", s, got)
		}
		if again := cleanText(got, 64); again != got {
			t.Errorf("%q became %q and then %q", s, got, again)
		}
	})
}

// hostile is an event whose every string, found by reflection so that a new
// field cannot be forgotten, tries to break the line.
func hostile(t *testing.T) Event {
	t.Helper()
	bad := "x\r\n\u202e\xff" + strings.Repeat("y", 5000)
	e := Event{
		At: noon, Levels: make([]string, 100), Detail: make([]Field, 100),
		Explanation: json.RawMessage("{\"a\u202e\":\n \"\xff <b>\u2028\U000e0041\"}"),
	}
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.String {
			v.Field(i).SetString(bad)
		}
	}
	e.Name = AccessDenied
	for i := range e.Levels {
		e.Levels[i] = bad
		e.Detail[i] = Field{Key: bad, Value: bad}
	}
	return e
}

func TestSealedBodyIsOneBoundedLineOfPlainText(t *testing.T) {
	r, err := newChain(t).Seal(Link{}, hostile(t))
	if err != nil {
		t.Fatal(err)
	}
	if !allPlain(string(r.Body)) {
		t.Errorf("the body is not plain: %q", r.Body)
	}
	if len(r.Body) > 64<<10 {
		t.Errorf("the body has %d bytes", len(r.Body))
	}
	if len(r.Levels) != maxList || len(r.Detail) != maxList {
		t.Errorf("%d levels, %d fields", len(r.Levels), len(r.Detail))
	}
	var got map[string]string
	if err := json.Unmarshal(r.Explanation, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a\u202e": "\ufffd <b>\u2028\U000e0041"}, got); diff != "" {
		t.Errorf("the explanation says something else: %s", diff)
	}
}

func TestCleanChangesNothingTwice(t *testing.T) {
	once := hostile(t).Clean()
	if diff := cmp.Diff(once, once.Clean()); diff != "" {
		t.Error(diff)
	}
}

func TestCleanLeavesTheCallersEventAlone(t *testing.T) {
	e := hostile(t)
	levels, fields := e.Levels[0], e.Detail[0]
	e.Clean()
	if e.Levels[0] != levels || e.Detail[0] != fields {
		t.Error("the caller's slices were changed")
	}
}

func TestCleanKeepsTheEventOfAnUnusableExplanation(t *testing.T) {
	for name, row := range map[string]struct {
		raw  string
		want string
	}{
		"not JSON":             {`{"a":`, "not JSON"},
		"two values":           {`{} {}`, "not JSON"},
		"too large":            {`"` + strings.Repeat("x", maxExplanation) + `"`, "too large"},
		"too large as escapes": {`"` + strings.Repeat("<", maxExplanation/2) + `"`, "too large"},
	} {
		e := Event{Name: AccessDenied, Explanation: json.RawMessage(row.raw), Detail: make([]Field, 100)}.Clean()
		if e.Explanation != nil || e.Detail[maxList-1] != (Field{"explanation", row.want}) {
			t.Errorf("%s: %.40q, %+v", name, e.Explanation, e.Detail[len(e.Detail)-1])
		}
	}
}

func TestCleanKeepsUTCMilliseconds(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 123_999_999, time.FixedZone("BST", 3600))
	got := Event{At: at}.Clean().At
	if want := time.Date(2026, 7, 1, 11, 0, 0, 123_000_000, time.UTC); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
