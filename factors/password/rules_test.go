package password_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
)

func reason(t *testing.T, r password.Rules, text, username, site string) password.Reason {
	t.Helper()
	err := r.Check(account.Secret(text), username, site)
	if err == nil {
		return ""
	}
	var refusal *password.Refusal
	if !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("password refused: %s", refusal.Reason); err.Error() != want {
		t.Errorf("the error is %q, want %q", err, want)
	}
	return refusal.Reason
}

func TestLengthIsCountedInCodePoints(t *testing.T) {
	alone := password.Rules{MinLength: password.AloneLength}
	clef := "\U0001d11e"
	for _, c := range []struct {
		name  string
		rules password.Rules
		text  string
		want  password.Reason
	}{
		{"7", password.Rules{}, "hvmqzwk", password.TooShort},
		{"8", password.Rules{}, "hvmqzwkt", ""},
		{"8 beyond the basic plane", password.Rules{}, "hvmqzwk" + clef, ""},
		{"14 of 15", alone, "hvmqzwktbxgdlp", password.TooShort},
		{"15 lower-case letters", alone, "hvmqzwktbxgdlpn", ""},
		{"a floor of 4 stays 8", password.Rules{MinLength: 4}, "hvmqz", password.TooShort},
		{"64", password.Rules{}, strings.Repeat("hvmqzwkt", 7) + "bxgdlpnr", ""},
		{"256", password.Rules{}, "hvmqz wkt" + strings.Repeat("plum jar ", 27) + "abrn", ""},
		{"257", password.Rules{}, "hvmqz wkt" + strings.Repeat("plum jar ", 27) + "abrnz", password.TooLong},
		{"256 of four bytes", password.Rules{}, "hvmqzwkt" + strings.Repeat(clef, 248), ""},
		{"decomposed counts once", password.Rules{}, "he\u0301mqzwk", password.TooShort},
		{"no UTF-8", password.Rules{}, "hvmqzwkt\xff", password.NotText},
	} {
		if got := reason(t, c.rules, c.text, "joe", "The Portal"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCommonPasswordsAreRefused(t *testing.T) {
	for _, text := range []string{
		"password", "Password", "PASSWORD", "password1", "Password123", "Password123!", "p@ssw0rd", "P@$$w0rd1", "passw0rd", "password123456", "passwordpassword",
		"12345678", "123456789", "1234567890", "0123456789", "87654321", "11111111", "00000000", "11223344", "12341234", "123123123", "1234512345",
		"qwertyui", "qwertyuiop", "asdfghjkl", "1qaz2wsx", "zaq12wsx", "1q2w3e4r", "q1w2e3r4", "qazwsxedc", "qwerty123", "Qwerty12", "asdf1234", "abcd1234", "a1b2c3d4", "abcdefgh", "aaaaaaaa", "abababab",
		"iloveyou", "iloveyou2", "1loveyou", "sunshine", "princess", "football", "football1", "baseball", "superman", "trustno1", "letmein1", "letmein!", "welcome1", "Welcome2024", "Summer2024!", "dragon12", "monkey123", "charlie1", "liverpool", "Chelsea1905", "starwars", "computer", "internet", "michelle", "jennifer", "changeme", "Changeme1!", "admin123", "administrator", "default1", "london2012", "2024summer", "sunshine19901231",
		"31121999", "19991231",
	} {
		if got := reason(t, password.Rules{}, text, "joe", "The Portal"); got != password.Common {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestThousandsOfCommonPasswordsAreRefused(t *testing.T) {
	refused := make(map[string]bool)
	for _, word := range password.Words() {
		for _, form := range []string{word, strings.ToUpper(word[:1]) + word[1:], strings.ReplaceAll(word, "o", "0")} {
			for _, ending := range []string{"", "1", "12", "123", "1234", "12345", "123456", "!", "1!", "123!", "01", "99", "007", "1990", "2000", "2024", "2025", "2026!"} {
				text := form + ending
				if len(text) < password.MinLength {
					continue
				}
				if got := reason(t, password.Rules{}, text, "hrothgar", "Front door"); got != password.Common {
					t.Fatalf("%q: %q", text, got)
				}
				refused[text] = true
			}
		}
	}
	if len(refused) < 3000 {
		t.Errorf("only %d", len(refused))
	}
	t.Logf("%d words, %d passwords of these forms", len(password.Words()), len(refused))
}

func TestPhrasesMayContainListedWords(t *testing.T) {
	for _, text := range []string{
		"correct horse battery staple", "password of my aunt", "my-password-is-odd", "four football fields", "tea at joe's on sunday", "summer in the city", "hunter2-hunter2", "kettle-lantern-91", "Tr0ub4dor&3",
		"zxk81-pqlmn", "7493 0182 5560", "   eight   ", "пароль-для-портала",
	} {
		if got := reason(t, password.Rules{}, text, "joe", "The Portal"); got != "" {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestNamesOfThePersonAndTheSiteAreRefused(t *testing.T) {
	for _, text := range []string{
		"joe.bloggs", "JoeBloggs", "joebloggs1", "bloggs1234", "Bloggs2024!", "sggolb123", "casework", "Casework1", "county-casework", "CountyCasework", "stepgate", "Stepgate1!", "st3pgate!",
	} {
		if got := reason(t, password.Rules{}, text, "joe.bloggs", "County Casework"); got != password.Personal {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, text := range []string{"joe.bloggs drinks tea", "stepgate keeps the door", "lantern-kettle"} {
		if got := reason(t, password.Rules{}, text, "joe.bloggs", "County Casework"); got != "" {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := reason(t, password.Rules{}, "kettle-lantern", "", ""); got != "" {
		t.Errorf("without names: %q", got)
	}
}

func FuzzCheckEndsAndTellsNothing(f *testing.F) {
	for _, s := range []string{"password1", "1!1!1!1!1!1!1!", "\xff", strings.Repeat("1", 300), "qwertyuiop"} {
		f.Add(s, "joe", "The Portal")
	}
	f.Fuzz(func(t *testing.T, text, username, site string) {
		err := password.Rules{}.Check(account.Secret(text), username, site)
		if err == nil {
			return
		}
		var refusal *password.Refusal
		if !errors.As(err, &refusal) || err.Error() != "password refused: "+string(refusal.Reason) {
			t.Error(err)
		}
	})
}
