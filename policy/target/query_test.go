package target

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func queryValues(t *testing.T, raw, name string) ([]string, bool) {
	t.Helper()
	rs, err := newReader(t).Read(raw)
	if err != nil {
		t.Fatalf("Read(%q): %v", raw, err)
	}
	return rs.QueryValues(name)
}

// TestQueryValuesReadsKeysOverSeparators: a server that only knows "&" takes
// "de;lete" for one key, which an app may strip to a word.
func TestQueryValuesReadsKeysOverSeparators(t *testing.T) {
	if values, _ := queryValues(t, "/app.do?x=1&action[de;le?te]=view&y", "action"); !slices.Contains(values, "de;le?te") {
		t.Errorf("action = %q", values)
	}
}

func TestQueryValuesFindsEverySpellingOfAField(t *testing.T) {
	for _, raw := range []string{
		"/app.do?action=delete",
		"/app.do?x=1&action=delete",
		"/app.do?x=1;action=delete",
		"/app.do?x=1;action=delete;y",
		"/app.do?x=1&amp;action=delete",
		"/app.do?x=1?action=delete",
		"/app.do??action=delete",
		"/app.do?action=view&action=delete",
		"/app.do?action=delete&action=view",
		"/app.do?action=delete;x=1",
		"/app.do?action=delete?x",
		"/app.do?action=delete#x",
		"/app.do?ACTION=delete",
		"/app.do?%61ction=delete",
		"/app.do?%2561ction=delete",
		"/app.do?%u0061ction=delete",
		"/app.do?action=%64elete",
		"/app.do?action=%2564elete",
		"/app.do?action=%u0064elete",
		"/app.do?action=+delete",
		"/app.do?action=delete%00.html",
		"/app.do?action=delete%0d%0a",
		"/app.do?action=%00delete",
		"/app.do?action=%00delete%00x",
		"/app.do?action=%00%0b+delete",
		"/app.do?action=del%00ete",
		"/app.do?action=del%7fete",
		"/app.do?action=%2500delete",
		"/app.do?%00action=delete",
		"/app.do?%00action%00x=delete",
		"/app.do?act%01ion=delete",
		"/app.do?action[%00delete]=view",
		"/app.do?+action=delete",
		"/app.do?%20action=delete",
		"/app.do?action[]=delete",
		"/app.do?action%5B%5D=delete",
		"/app.do?action[x][y]=delete",
		"/app.do?action[delete]=view",
		"/app.do?action[delete]",
		"/app.do?action%5Bdelete%5D=view",
		"/app.do?action%255B%2564elete%255D=view",
		"/app.do?action[x][delete",
		"/app.do?action%00x=delete",
		"/app.do?act%FFion=delete",
		"/app.do?%C1%A1ction=delete",
		"/app.do?action=d%FFelete",
		"/app.do?%EF%BD%81ction=delete",
		"/app.do%3Faction=delete",
		"/app.do%3Faction=delete?x=1",
		"/app.do%253Faction=delete",
	} {
		values, _ := queryValues(t, raw, "action")
		if !slices.Contains(values, "delete") {
			t.Errorf("%s: action = %q, want delete among it", raw, values)
		}
	}
}

func TestQueryValuesKnowsPHPNames(t *testing.T) {
	for _, tt := range []struct{ raw, name string }{
		{"/?user.name=x", "user_name"},
		{"/?user+name=x", "user_name"},
		{"/?user%20name=x", "user.name"},
		{"/?user[name=x", "user_name"},
		{"/?user_name=x", "user.name"},
		{"/?user[role]=x", "user[role]"},
		{"/?user[role][0]=x", "user[role]"},
	} {
		if values, _ := queryValues(t, tt.raw, tt.name); !slices.Contains(values, "x") {
			t.Errorf("%s: %s = %q, want x", tt.raw, tt.name, values)
		}
	}
}

func TestQueryValuesGivesEveryReadingOfAValue(t *testing.T) {
	for raw, want := range map[string][]string{
		"/?q":         {""},
		"/?q=":        {""},
		"/?q=a+b":     {"a+b", "a b"},
		"/?q=a%2Bb":   {"a%2Bb", "a+b", "a b"},
		"/?q=a;b":     {"a;b", "a"},
		"/?q=caf%E9":  {"caf%E9", "caf\xe9", "caf", "café"},
		"/?q=1&r=2":   {"1"},
		"/?q=1&q=2":   {"1", "2"},
		"/?r=q":       nil,
		"/?qq=1&rq=2": nil,
	} {
		values, unreadable := queryValues(t, raw, "q")
		if diff := cmp.Diff(want, values); diff != "" || unreadable {
			t.Errorf("%s (-want +got), unreadable %v:\n%s", raw, unreadable, diff)
		}
	}
}

func TestQueryValuesLeavesOtherFieldsAlone(t *testing.T) {
	for _, raw := range []string{
		"/app.do",
		"/app.do?next=%2Fapp.do%3Faction%3Ddelete",
		"/app.do?q=100%&x=1",
		"/app.do?reaction=delete",
		"/app.do?x=action",
	} {
		values, unreadable := queryValues(t, raw, "action")
		if len(values) > 0 || unreadable {
			t.Errorf("%s: action = %q, unreadable %v; want nothing", raw, values, unreadable)
		}
	}
}

func TestQueryValuesSaysWhatItCannotRead(t *testing.T) {
	for _, raw := range []string{
		"/?action=%zz",
		"/?%zzaction=delete",
		"/?a%=1",
		"/?" + strings.Repeat("x", MaxFieldBytes) + "&action=delete",
		"/?" + manyValues(maxValues+1),
		"/?" + strings.Repeat("action="+strings.Repeat("x", 100)+"%20;", 600),
		"/?" + strings.Repeat("%61&", maxOddNames+1),
		"/?" + strings.Repeat("%EF%B7%BA&", maxWideBytes/2),
	} {
		if _, unreadable := queryValues(t, raw, "action"); !unreadable {
			t.Errorf("%.40s is readable", raw)
		}
	}
}

func manyValues(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "action=%d&", i)
	}
	return b.String()
}

func TestQueryValuesBoundsItsWork(t *testing.T) {
	start := time.Now()
	for _, piece := range []string{"action=;", "action=%25;", "action=+%2B%252B;", "a;", "%2561;", "=", "?", "[", "action[;", "\xff", "%u0061"} {
		_, _ = queryValues(t, "/?"+strings.Repeat(piece, MaxFieldBytes/len(piece)), "action")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("eleven hostile queries took %v", took)
	}
}

// Where a query plainly lacks a name, nothing of it is read; that must say what
// reading it says.
func TestQueryValuesOfPlainQueriesAreThoseOfTheirFields(t *testing.T) {
	r, err := NewReader(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"page=2", "user=joe", "USER=joe&page=2", "user", "a=1&user_name=x", "user%5bx%5d=1", "us%65r=1", "a;user=1", "us.er=1", "x?user=1", "user[x]=1", "+user=1", "",
		"us_er=1", "user\u212a=1", "username=1", "a=user",
	} {
		rs, err := r.Read("/x?" + query)
		if err != nil {
			t.Fatal(query, err)
		}
		for _, name := range []string{"user", "User", "us.er", "us_er", "page", "user_name", "", "[x]", "user\u212a"} {
			values, unreadable := rs.QueryValues(name)
			wanted, unknown := rs.Query().Values(name)
			if !slices.Equal(values, wanted) || unreadable != unknown {
				t.Errorf("%q of %q: %q %t; by its fields %q %t", name, query, values, unreadable, wanted, unknown)
			}
		}
	}
	rs, err := r.Read("/x?page=2&sort=name")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { rs.QueryValues("password") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
