package target

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFieldsFoldOnceForAll(t *testing.T) {
	fs := queryOf(t, "/?Action=DELETE&action=delete&user=J%C3%96RG&user=jo%CC%88rg")
	for name, want := range map[string][]string{"action": {"delete"}, "USER": {"j%c3%96rg", "jörg", "jo%cc%88rg"}, "x": nil} {
		for range 2 {
			got, unreadable := fs.Folded(name)
			if diff := cmp.Diff(want, got); diff != "" || unreadable {
				t.Errorf("%s (-want +got), unreadable %v:\n%s", name, unreadable, diff)
			}
		}
	}
}

func TestFoldingALongTextIsNotTried(t *testing.T) {
	long := strings.Repeat("\ufdfa", maxWideBytes/3/2)
	fs := queryOf(t, "/?a="+long+"&b="+long+"&c="+long+"&d=plain")
	for i, name := range []string{"a", "b", "c", "d"} {
		if _, unreadable := fs.Folded(name); unreadable != (i == 2) {
			t.Errorf("%s: unreadable %v", name, unreadable)
		}
	}
}

// Where there are too many names to read each in every way, the plain reading
// is still there.
func TestManyOddNamesDoNotHideTheNext(t *testing.T) {
	fs := queryOf(t, "/?"+strings.Repeat("%61&", maxOddNames)+"%61ction=delete&Action=view")
	values, unreadable := fs.Values("action")
	if diff := cmp.Diff([]string{"delete", "view"}, values); diff != "" || !unreadable {
		t.Errorf("unreadable %v, (-want +got):\n%s", unreadable, diff)
	}
}

func TestNoFieldsAreNone(t *testing.T) {
	for _, fs := range []*Fields{nil, {}, queryOf(t, "/x"), Form("application/json", []byte(`{"a":1}`)), Form(urlencoded, nil)} {
		for _, ask := range []func(string) ([]string, bool){fs.Values, fs.Folded} {
			if values, unreadable := ask("a"); values != nil || unreadable {
				t.Errorf("%+v: a = %q, unreadable %v", fs, values, unreadable)
			}
		}
	}
}

func queryOf(t *testing.T, raw string) *Fields {
	t.Helper()
	rs := mustRead(t, raw)
	return rs.Query()
}

func TestFieldKeysAreWhatAServerMakesOfAName(t *testing.T) {
	for _, raw := range []string{"sess", "SESS", "+SESS", "%20SESS", "SESS%00%", "%53ESS%00%zz", "%2553ESS", "SESS%00;x", "%u0053ESS", "\uff33ESS", " SESS\t"} {
		if keys := FieldKeys(raw); !slices.Contains(keys, "sess") {
			t.Errorf("%q is read as %q", raw, keys)
		}
	}
	if keys := FieldKeys("SES%53x"); slices.Contains(keys, "sess") {
		t.Errorf("another name is read as %q", keys)
	}
}
