package oob

import (
	"strings"
	"testing"
	"unicode/utf8"
)

var british = Numbers{Region: "GB", Countries: []string{"GB"}}

func TestNumbersThatGetTexts(t *testing.T) {
	for typed, want := range map[string]string{
		"07700900609": "+447700900609", "07700 900 609": "+447700900609", "+44 (0)7700 900-609": "+447700900609",
		"00447700900609": "+447700900609", "+447700900000": "+447700900000", "07912 345678": "+447912345678", "07400 123456": "+447400123456",
		"７７００９００６０９": "+447700900609",
	} {
		got, err := british.parse(typed)
		if err != nil || got.to != want || got.country != "GB" {
			t.Errorf("%q: %+v, %v", typed, got, err)
		}
	}
	wide := Numbers{Region: "GB", Countries: []string{"GB", "US", "DE", "JE", "JM"}}
	for typed, want := range map[string]string{
		"+1 202 555 0123": "US", "+49 151 23456789": "DE", "+44 7797 712345": "JE", "+1 876 210 1234": "JM", "07912345678": "GB",
	} {
		got, err := wide.parse(typed)
		if err != nil || got.country != want {
			t.Errorf("%q: %+v, %v", typed, got, err)
		}
	}
}

// TestNumbersThatGetNone holds S-135.
func TestNumbersThatGetNone(t *testing.T) {
	for typed, why := range map[string]string{
		"+1 876 210 1234": "Jamaica", "+1 202 555 0123": "United States", "+44 7797 712345": "Jersey", "+44 7781 123456": "Guernsey", "07911 123456": "Guernsey",
		"+44 7624 412345": "Isle of Man", "+44 70 1234 5678": "personal", "+44 9012 345678": "premium", "+44 9098 790000": "premium",
		"+44 7640 123456": "pager", "+44 20 7946 0000": "landline", "+44 161 496 0000": "landline", "+44 56 1234 5678": "internet telephony",
		"+44 3000 123456": "national rate", "+44 800 123 4567": "freephone", "+882 16 1234 5678": "international network", "+870 773 123456": "satellite",
		"+881 6 1234 5678": "satellite", "999": "short", "12345": "short", "": "nothing", "phone": "letters", "0770090O609": "a letter",
		"07700900609 ext 5": "extension", "07700900609;ext=5": "extension", "+": "plus", "tel:+447700900609": "an address",
		"\xff07700900609": "broken", strings.Repeat("0", 100): "long", "+447700900609;phone-context=evil": "context",
	} {
		if got, err := british.parse(typed); err == nil {
			t.Errorf("%s: %q was accepted as %+v", why, typed, got)
		}
	}
}

func TestOnlyCountriesAreCountries(t *testing.T) {
	if err := (Numbers{Region: "GB", Countries: []string{"GB", "US", "JE"}}).Check(); err != nil {
		t.Error(err)
	}
	for _, n := range []Numbers{{Region: "UK"}, {}, {Region: "GB", Countries: []string{"GB", "UK"}}, {Region: "GB", Countries: []string{"+44"}}} {
		if err := n.Check(); err == nil {
			t.Errorf("%+v was accepted", n)
		}
	}
}

func TestEMailAddresses(t *testing.T) {
	for typed, want := range map[string]string{
		"joe@example.test": "joe@example.test", " Joe.Smith+tag@EXAMPLE.Test ": "Joe.Smith+tag@example.test",
		"o'hara@mail.example.co.uk": "o'hara@mail.example.co.uk", "joe@xn--mnchen-3ya.example": "joe@xn--mnchen-3ya.example",
	} {
		if got, err := parseEmail(typed); err != nil || got.to != want {
			t.Errorf("%q: %+v, %v", typed, got, err)
		}
	}
	for _, typed := range []string{
		"", "joe", "joe@", "@example.test", "joe@localhost", "joe@[127.0.0.1]", "Joe <joe@example.test>", "joe@example.test, ann@example.test",
		"joe@example.test\r\nBcc: ann@example.test", "joe@exa mple.test", `"joe smith"@example.test`, "joe@example..test", "joe@example.test.",
		strings.Repeat("a", 250) + "@example.test", "joe\u202e@example.test", "joe@example.test\x00", "joe@a_b.test",
	} {
		if got, err := parseEmail(typed); err == nil {
			t.Errorf("%q was accepted as %+v", typed, got)
		}
	}
}

func TestMasksShowNoMoreThanTheyShould(t *testing.T) {
	for to, want := range map[string]string{"+447700900609": "ending 609", "+44": "ending +44", "": "ending "} {
		if got := maskNumber(to, "en"); got != want {
			t.Errorf("%q: %q", to, got)
		}
	}
	for to, want := range map[string]string{
		"joe@example.test": "j…@e….test", "żaneta@mail.example.co.uk": "ż…@m….uk", "x": "x…@….",
	} {
		if got := maskEmail(to); got != want {
			t.Errorf("%q: %q, want %q", to, got, want)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"07700900609", "+44 7797 712345", "+1 (876) 210-1234", "tel:+44", "07700900609;ext=1", "٠٧٧٠٠٩٠٠٦٠٩", "+447700900609\n", "0007700900000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, err := british.parse(typed)
		if err != nil {
			if got != (address{}) {
				t.Errorf("%q: half an address: %+v", typed, got)
			}
			return
		}
		if got.country != "GB" || !strings.HasPrefix(got.to, "+447") || len(got.to) != 13 || strings.Trim(got.to[1:], "0123456789") != "" {
			t.Errorf("%q: %+v", typed, got)
		}
		if again, err := british.parse(got.to); err != nil || again != got {
			t.Errorf("%q: E.164 %q is read as %+v, %v", typed, got.to, again, err)
		}
	})
}

func FuzzEMail(f *testing.F) {
	for _, seed := range []string{"joe@example.test", "a@b@c.d", "<a@b.c>", "a@b.c\r\nTo: x", "\"a\"@b.c", "a@[::1]", "ä@ö.ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, err := parseEmail(typed)
		if err != nil {
			return
		}
		if strings.Count(got.to, "@") != 1 || strings.ContainsAny(got.to, "\r\n\t <>\",;:\\") || !utf8.ValidString(got.to) || len(got.to) > maxEmail+8 {
			t.Errorf("%q: %q", typed, got.to)
		}
		if again, err := parseEmail(got.to); err != nil || again != got {
			t.Errorf("%q: %q is read as %+v, %v", typed, got.to, again, err)
		}
		maskEmail(got.to)
	})
}
