package account

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestFoldUsernameMakesOneNameOfItsSpellings(t *testing.T) {
	for _, spelling := range []string{"joe", "Joe", " JOE\t", "ｊｏｅ", "Ｊoe"} {
		if got := FoldUsername(spelling); got != "joe" {
			t.Errorf("%q: %q", spelling, got)
		}
	}
	if FoldUsername("Straße") != FoldUsername("STRASSE") {
		t.Error("case folding is not full")
	}
	if FoldUsername("ꮰ") != FoldUsername("Ꮰ") {
		t.Error("capitals and small letters of Cherokee differ")
	}
	if FoldUsername("joe") == FoldUsername("jоe") { // the second has a Cyrillic letter
		t.Error("letters of two scripts became one")
	}
}

func FuzzFoldUsernameIsStable(f *testing.F) {
	for _, seed := range []string{"joe", "Straße", "ﬁ", "\u0345a", "K", "İ", "a\u0300", "ꮰ", "ᾳ", "ŉ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if once := FoldUsername(name); FoldUsername(once) != once {
			t.Errorf("%q folds to %q and then to %q", name, once, FoldUsername(once))
		}
	})
}

func TestCheckUsernameRefusesWhatCanBeMisread(t *testing.T) {
	for _, bad := range []string{"", "  ", "a\nb", "a\x00", "a\u202eb", "a\u200bb", "a\u2028b", "\xff", strings.Repeat("a", 201)} {
		if CheckUsername(bad) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	for _, good := range []string{"joe", "j.o'e@example.test", "Zoë", "李", "joe bloggs"} {
		if err := CheckUsername(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestSecretPrintsAsAMark(t *testing.T) {
	s := Secret("hunter2")
	text, err := json.Marshal(map[string]any{"a": s, "b": &s})
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{
		fmt.Sprint(s), fmt.Sprintf("%s %v %x %q %#v %d", s, s, s, s, s, s), fmt.Sprintf("%+v", struct{ S Secret }{s}), string(text), fmt.Errorf("%w %v", ErrTaken, s).Error(),
	} {
		if strings.Contains(printed, "hunter2") || strings.Contains(printed, "68756e74") || strings.Contains(printed, "104 117") {
			t.Errorf("printed: %s", printed)
		}
	}
	if string(s.Reveal()) != "hunter2" {
		t.Error("Reveal does not")
	}
}

func TestNobodyActsOnAHigherRole(t *testing.T) {
	for _, row := range []struct {
		role, other Role
		above       bool
	}{
		{RoleOwner, RoleAdmin, true}, {RoleAdmin, RoleHelpdesk, true}, {RoleHelpdesk, RoleUser, true}, {RoleAuditor, RoleAdmin, true},
		{RoleOwner, RoleAuditor, false}, {RoleAdmin, RoleAdmin, false}, {RoleUser, RoleHelpdesk, false}, {"", RoleUser, false}, {"root", RoleUser, false},
	} {
		if got := row.role.Above(row.other); got != row.above {
			t.Errorf("%s above %s: %v", row.role, row.other, got)
		}
	}
}
