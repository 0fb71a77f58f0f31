package factors

import (
	"strings"
	"testing"
)

func TestNormaliseTakesOutBlanksAndDashesOnly(t *testing.T) {
	for typed, want := range map[string]string{
		"123456":                               "123456",
		" 123 456\r\n":                         "123456",
		"123-456":                              "123456",
		"123\u00a0456":                         "123456",
		"123\u2009456":                         "123456",
		"12\u201334\u201456":                   "123456",
		"1\u22122\u20113 4-5\t6":               "123456",
		"000000":                               "000000",
		"":                                     "",
		"12345":                                "",
		"1234567":                              "",
		"12345a":                               "",
		"\uff11\uff12\uff13\uff14\uff15\uff16": "",
		"\u0661\u0662\u0663\u0664\u0665\u0666": "",
		"12345\uff16":                          "",
		"+123456":                              "",
		"123.456":                              "",
		"\u00b2\u00b212":                       "",
		"123456\x00":                           "",
		"123\u200b456":                         "",
		"123456\xff":                           "",
		strings.Repeat(" ", 60) + "123456":     "",
	} {
		got, ok := Digits(typed, 6)
		if ok != (want != "") || (ok && got != want) {
			t.Errorf("%q: %q, %v", typed, got, ok)
		}
	}
}

func FuzzDigits(f *testing.F) {
	for _, s := range []string{"123456", "123 456", "\uff11\uff12\uff13\uff14\uff15\uff16", "12\u201334\u201456", "\xff123456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := Digits(typed, 6)
		if !ok {
			return
		}
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("%q gives %q", typed, code)
		}
		// The digits are those that were typed, in their order.
		rest := typed
		for _, d := range code {
			_, after, found := strings.Cut(rest, string(d))
			if !found {
				t.Fatalf("%q gives %q", typed, code)
			}
			rest = after
		}
		if again, ok := Digits(code, 6); !ok || again != code {
			t.Fatalf("%q is not stable", code)
		}
	})
}
