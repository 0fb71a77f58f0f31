package weld

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// memory is a store of bonds.
type memory struct {
	bonds []Bond
	asked int
	down  bool
	then  func() // is done once it has looked
}

func (m *memory) KeepBonds(_ context.Context, bonds []Bond) error {
	m.bonds = append(m.bonds, bonds...)
	return nil
}

func (m *memory) BondsOf(_ context.Context, id session.ID, _ time.Time) (found []Bond, err error) {
	for _, b := range m.bonds {
		if b.Session == id {
			found = append(found, b)
		}
	}
	return found, nil
}

func (m *memory) SessionsBound(_ context.Context, hashes []Hash, but session.ID, _ time.Time) (found []session.ID, err error) {
	for _, b := range m.bonds {
		if b.Session != but && !b.Offered && slices.Contains(hashes, b.Hash) {
			found = append(found, b.Session)
		}
	}
	return found, nil
}

func (m *memory) BondElsewhere(_ context.Context, hashes []Hash, but session.ID, _ time.Time) (bool, error) {
	m.asked++
	if m.down {
		return false, errors.New("down")
	}
	found := slices.ContainsFunc(m.bonds, func(b Bond) bool { return b.Session != but && slices.Contains(hashes, b.Hash) })
	if m.then != nil {
		m.then()
	}
	return found, nil
}

func newWeld(t testing.TB) (*Weld, *memory) {
	t.Helper()
	ring, err := keys.Create(filepath.Join(t.TempDir(), "k"), noon)
	if err != nil {
		t.Fatal(err)
	}
	names, err := CompileNames([]string{"SESS", "DW*"})
	if err != nil {
		t.Fatal(err)
	}
	m := new(memory)
	return &Weld{Store: m, Ring: ring, Site: "https://a.test", Names: names, Now: func() time.Time { return noon }}, m
}

func (w *Weld) bindFor(t testing.TB, id session.ID, values ...Cookie) *Bonds {
	t.Helper()
	if _, err := w.Bind(t.Context(), id, noon, values); err != nil {
		t.Fatal(err)
	}
	b, err := w.Bonds(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNamesAreFoundInEverySpelling(t *testing.T) {
	w, _ := newWeld(t)
	for _, name := range []string{"SESS", "sess", " SESS\t", "SE%53S", "%53%45SS", "%2553ESS", "SESS[]", "SESS[x]", "SESS\x00x", "dwabc", "DW", "+SESS", "SESS%00%", "%53ESS%00%zz", "\uff33ESS"} {
		if !w.Names.Has(name) {
			t.Errorf("%q is not found", name)
		}
	}
	for _, name := range []string{"", "SES", "SESSX", "XSESS", "__Host-SESS", "D"} {
		if w.Names.Has(name) {
			t.Errorf("%q is found", name)
		}
	}
}

func TestNamesLeaveOutWhatIsTheSameForAll(t *testing.T) {
	names, err := CompileNames([]string{"app_*", "!app_test"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"app_test": false, "APP_test": true, "app%5ftest": true, "app.test": true, "app_tests": true, "app_x": true} {
		if names.Has(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	for _, pattern := range []string{"!", "!a*", "!a b"} {
		if _, err := CompileNames([]string{"a*", pattern}); err == nil {
			t.Errorf("%q is accepted", pattern)
		}
	}
}

func TestCompileNamesRefusesWhatNamesEverything(t *testing.T) {
	for _, pattern := range []string{"", "*", "**", "a b", "a=b", "a;b", "ä"} {
		if _, err := CompileNames([]string{pattern}); err == nil {
			t.Errorf("%q is accepted", pattern)
		}
	}
}

func TestPassGivesEverySessionItsOwn(t *testing.T) {
	w, _ := newWeld(t)
	mine := w.bindFor(t, "mine", Cookie{"SESS", "m1"}, Cookie{"DWx", "Ym9i%7C0"})
	w.bindFor(t, "other", Cookie{"SESS", "o1"})
	for _, row := range []struct {
		name, line      string
		inside, outside string // of my session on a private path; for nobody on a public one
		own             bool
	}{
		{"nothing of the app", "a=b; c=d", "a=b; c=d", "a=b; c=d", true},
		{"my own", "a=b; SESS=m1; DWx=Ym9i%7C0", "a=b; SESS=m1; DWx=Ym9i%7C0", "a=b", true},
		{"another's", "SESS=o1; a=b", "a=b", "a=b", false},
		{"nobody's", "SESS=n1", "", "SESS=n1", false},
		{"another's, escaped", "SESS=%6f1", "", "", false},
		{"another's, quoted", `SESS="o1"`, "", "", false},
		{"nobody's, quoted", `SESS="n1"`, "", "", false},
		{"mine after another's", "SESS=o1; SESS=m1", "SESS=m1", "", false},
		{"mine twice", "SESS=m1; sess=m1", "SESS=m1", "", true},
		{"another name", "DWx=m1", "", "DWx=m1", false},
		{"without a value", "SESS=; SESS; a=b", "a=b", "a=b", true},
		{"attributes", "$Version=1; SESS=m1; $Path=/", "SESS=m1", "", true},
		{"hidden behind a comma", "a=1, SESS=o1; b=2", "b=2", "b=2", true},
		{"hidden in quotes", `a="x SESS=o1"; b=2`, "b=2", "b=2", true},
		{"no name", "=SESS=o1; SESS=m1", "SESS=m1", "", true},
		{"control bytes", "a=b\x01; SESS=m1", "SESS=m1", "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			inside := w.Pass(t.Context(), row.line, "mine", mine, false)
			if inside.Line != row.inside || inside.Own != row.own {
				t.Errorf("inside: %q, own %v", inside.Line, inside.Own)
			}
			if outside := w.Pass(t.Context(), row.line, "", nil, true); outside.Line != row.outside {
				t.Errorf("outside: %q", outside.Line)
			}
		})
	}
}

func TestOfferedPassesOnlyOnPublicPathsOfItsSession(t *testing.T) {
	w, _ := newWeld(t)
	if err := w.Offer(t.Context(), "mine", noon, []Cookie{{"SESS", "v"}}); err != nil {
		t.Fatal(err)
	}
	mine, err := w.Bonds(t.Context(), "mine")
	if err != nil {
		t.Fatal(err)
	}
	private := w.Pass(t.Context(), "SESS=v", "mine", mine, false)
	if diff := cmp.Diff(Passed{Offered: []Cookie{{"SESS", "v"}}}, private); diff != "" {
		t.Error(diff)
	}
	if got := w.Pass(t.Context(), "SESS=v", "mine", mine, true).Line; got != "SESS=v" {
		t.Errorf("on a public path %q", got)
	}
	if got := w.Pass(t.Context(), "SESS=v", "", nil, true).Line; got != "" {
		t.Errorf("to a stranger %q", got)
	}
}

func TestStoreThatIsDownWithholds(t *testing.T) {
	w, m := newWeld(t)
	m.down = true
	if got := w.Pass(t.Context(), "SESS=v; a=b", "", nil, true).Line; got != "a=b" {
		t.Errorf("%q passes", got)
	}
}

func TestStrangersAreAskedAboutOnceASecond(t *testing.T) {
	w, m := newWeld(t)
	at := noon
	w.Now = func() time.Time { return at }
	for range 5 {
		w.Pass(t.Context(), "SESS=v", "", nil, true)
	}
	if m.asked != 1 {
		t.Errorf("asked %d times", m.asked)
	}
	w.bindFor(t, "mine", Cookie{"SESS", "v"})
	if got := w.Pass(t.Context(), "SESS=v", "", nil, true).Line; got != "" {
		t.Errorf("%q passes once it is bound", got)
	}
	asked := m.asked
	w.Pass(t.Context(), "SESS=w", "", nil, true)
	at = at.Add(strangerFor)
	w.Pass(t.Context(), "SESS=w", "", nil, true)
	if m.asked != asked+2 {
		t.Errorf("asked %d times more", m.asked-asked)
	}
}

func TestBondsOutliveARotationOfTheKey(t *testing.T) {
	w, _ := newWeld(t)
	file := filepath.Join(t.TempDir(), "k")
	ring, err := keys.Create(file, noon)
	if err != nil {
		t.Fatal(err)
	}
	w.Ring = ring
	w.bindFor(t, "mine", Cookie{"SESS", "v"})
	if _, err := ring.Rotate(file, noon); err != nil {
		t.Fatal(err)
	}
	mine, err := w.Bonds(t.Context(), "mine")
	if err != nil {
		t.Fatal(err)
	}
	if !w.Mine(mine, Cookie{"SESS", "v"}) || w.Pass(t.Context(), "SESS=v", "", nil, true).Line != "" {
		t.Error("the value is nobody's")
	}
}

func TestSealedValueOpensForItsSessionAndNameAlone(t *testing.T) {
	w, _ := newWeld(t)
	w.Sealed = true
	mine := w.bindFor(t, "mine", Cookie{"SESS", "m1"}, Cookie{"DWx", "m1"})
	h := http.Header{"Set-Cookie": {"SESS=m1; Path=/x; HttpOnly", "plain=1; Path=/", "SESS=; Max-Age=0"}}
	if err := w.SealAnswer(h, "mine"); err != nil {
		t.Fatal(err)
	}
	sealed, ok := strings.CutSuffix(h["Set-Cookie"][0], "; Path=/x; HttpOnly")
	if !ok || sealed == "SESS=m1" || h["Set-Cookie"][1] != "plain=1; Path=/" || h["Set-Cookie"][2] != "SESS=; Max-Age=0" {
		t.Fatalf("sealed to %q", h["Set-Cookie"])
	}
	value := strings.TrimPrefix(sealed, "SESS=")
	for line, want := range map[string]string{sealed: "SESS=m1", "SESS=m1": "", "DWx=" + value: "", sealed + "x": ""} {
		if got := w.Pass(t.Context(), line, "mine", mine, false).Line; got != want {
			t.Errorf("%s passes as %q", line, got)
		}
	}
	other, err := w.Bonds(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range []bool{true, false} {
		if got := w.Pass(t.Context(), sealed, "other", other, public).Line; got != "" {
			t.Errorf("in another session %q passes", got)
		}
	}
}

// FuzzPass holds that no parser in use finds a session cookie in what passes
// to a session that has none.
func FuzzPass(f *testing.F) {
	for _, line := range []string{
		"SESS=v", "a=b; SESS=v", `a="; SESS=v"`, "a=1,SESS=v", "$Version=1;SESS=v", "SE%53S=v", "a=b\tSESS=v", `a="b"SESS=v`, "SESS[]=v", "s=1;;sess=v", "a; SESS = v",
	} {
		f.Add(line)
	}
	w, _ := newWeld(f)
	f.Fuzz(func(t *testing.T, line string) {
		passed := w.Pass(t.Context(), line, "mine", &Bonds{}, false).Line
		for _, cut := range []string{";", ";,", ";, \t", ";, \t\"", ";\n\r"} {
			for part := range strings.FieldsFuncSeq(passed, func(r rune) bool { return strings.ContainsRune(cut, r) }) {
				name, _, _ := strings.Cut(part, "=")
				decoded, err := url.PathUnescape(strings.TrimSpace(name))
				if err == nil && (strings.EqualFold(decoded, "SESS") || strings.EqualFold(strings.TrimSpace(name), "SESS")) {
					t.Fatalf("%q passes as %q, in which a parser finds %q", line, passed, part)
				}
			}
		}
		if again := w.Pass(t.Context(), passed, "mine", &Bonds{}, false).Line; again != passed {
			t.Fatalf("%q passes as %q, which passes as %q", line, passed, again)
		}
	})
}

func BenchmarkPass(b *testing.B) {
	w, _ := newWeld(b)
	mine := w.bindFor(b, "mine", Cookie{"SESS", "m1"})
	for b.Loop() {
		w.Pass(b.Context(), "a=b; c=d; SESS=m1; e=f", "mine", mine, false)
	}
}

func TestFormsAreSearchedInEverySpelling(t *testing.T) {
	w, _ := newWeld(t)
	const encoded, parts = "application/x-www-form-urlencoded", "multipart/form-data; boundary=xx"
	part := func(name string) string {
		return "--xx\r\nContent-Disposition: form-data; name=" + name + "\r\n\r\nv\r\n--xx--\r\n"
	}
	for _, row := range []struct{ kind, body string }{
		{encoded, "a=b&SESS=v"}, {encoded, "+sess=v"}, {encoded, "SESS%00%=v"}, {"", "sess=v"}, {"text/plain, " + encoded, "sess=v"},
		{parts, part(`"SESS"`)}, {parts, part("sess")}, {parts, part(`"SESS[x]"`)},
	} {
		if found := w.Names.InForm(row.kind, []byte(row.body)); !slices.Contains(found, Cookie{"sess", "v"}) {
			t.Errorf("%s %q: %v", row.kind, row.body, found)
		}
	}
	for _, row := range []struct{ kind, body string }{{encoded, "a=sess"}, {"application/json", "sess=v"}, {encoded, ""}, {parts, part(`"a"`)}} {
		if found := w.Names.InForm(row.kind, []byte(row.body)); len(found) > 0 {
			t.Errorf("%s %q: %v", row.kind, row.body, found)
		}
	}
}

func TestValuesThatSomeServerTakesForOneAreKin(t *testing.T) {
	w, _ := newWeld(t)
	w.bindFor(t, "other", Cookie{"SESS", "AbC.node1"}, Cookie{"DW1", "plain"})
	for _, line := range []string{
		"SESS=AbC.node1", "SESS=ABC.NODE1", "SESS=abc%20", "SESS=AbC.node2", "SESS=AbC", "SESS=abc+", "SESS=%41bC", "SESS=abc.node1%20",
		"DW1=PLAIN", "DW1=plain.node2", "DW1=plain%20",
	} {
		if passed := w.Pass(t.Context(), line, "", nil, true); passed.Line != "" || !passed.Foreign {
			t.Errorf("%s reaches the app", line)
		}
	}
	for _, line := range []string{"SESS=AbCd.node1", "SESS=AbC.node1.x", "DW1=plainer"} {
		if passed := w.Pass(t.Context(), line, "", nil, true); passed.Line == "" {
			t.Errorf("%s is withheld", line)
		}
	}
	others, err := w.Bind(t.Context(), "newer", noon, []Cookie{{"SESS", "AbC.node9"}})
	if err != nil || !slices.Equal(others, []session.ID{"other"}) {
		t.Errorf("one session of the app opens two: %v, %v", others, err)
	}
}

func TestValueThatIsBoundWhileTheStoreIsAskedIsNoStranger(t *testing.T) {
	w, m := newWeld(t)
	m.then = func() { m.then = nil; w.bindFor(t, "s", Cookie{"SESS", "abc"}) }
	w.Pass(t.Context(), "SESS=abc", "", nil, true) // it was nobody's when asked
	if p := w.Pass(t.Context(), "SESS=abc", "", nil, true); p.Line != "" {
		t.Errorf("%q passes", p.Line)
	}
}

func TestValueOfTheSessionsOwnIsNoStranger(t *testing.T) {
	w, _ := newWeld(t)
	w.bindFor(t, "one", Cookie{"SESS", "a1"})
	if p := w.Pass(t.Context(), "SESS=a1", "one", nil, true); p.Foreign {
		t.Error("the session's own is another's where its bonds were read before")
	}
	if p := w.Pass(t.Context(), "SESS=a1", "", nil, true); !p.Foreign || p.Line != "" {
		t.Errorf("afterwards a login of anybody's carries %q", p.Line)
	}
}

func TestOtherSpellingOfABoundValueIsNoStranger(t *testing.T) {
	w, _ := newWeld(t)
	w.Pass(t.Context(), "SESS=ABC", "", nil, true)
	w.bindFor(t, "s", Cookie{"SESS", "abc"})
	if p := w.Pass(t.Context(), "SESS=ABC", "", nil, true); p.Line != "" {
		t.Errorf("%q passes", p.Line)
	}
}

func TestLoginAsksTheStoreOfWhatItCarriesAnew(t *testing.T) {
	w, m := newWeld(t)
	w.Pass(t.Context(), "SESS=abc", "", nil, true)
	other := &Weld{Store: m, Ring: w.Ring, Site: w.Site, Names: w.Names, Now: w.Now} // another node's
	other.bindFor(t, "s", Cookie{"SESS", "abc"})
	w.Carried("SESS=abc", "", nil)
	if asked := m.asked; w.Pass(t.Context(), "SESS=abc", "", nil, true).Line != "" || m.asked != asked+1 {
		t.Errorf("it passes, and the store was asked %d times", m.asked-asked)
	}
}
