package oob

import (
	"math"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/stepgate/stepgate/factors"
)

// originBound is the parsing of a message as WICG sms-one-time-codes has it:
// the last line is "@", a host, one blank, "#" and a code, and perhaps "@"
// and an embedded host behind another blank.
func originBound(message string) (host, code string, ok bool) {
	lines := strings.Split(message, "\n")
	last := lines[len(lines)-1]
	if len(lines) < 2 || !strings.HasPrefix(last, "@") {
		return "", "", false
	}
	host, rest, found := strings.Cut(last[1:], " ")
	if !found || host == "" || !strings.HasPrefix(rest, "#") {
		return "", "", false
	}
	code, embedded, more := strings.Cut(rest[1:], " ")
	if code == "" || more && !strings.HasPrefix(embedded, "@") {
		return "", "", false
	}
	return host, code, true
}

func letterOf(site, name, purpose, code string) letter {
	return letter{scope: factors.Scope{Site: site, SiteName: name, Purpose: purpose}, code: code, minutes: 10}
}

func TestTextNamesServicePurposeAndOrigin(t *testing.T) {
	got := text(letterOf("https://portal.example.gov:8443", "The Portal", "step-up", "012345"))
	want := "012345 is your code to sign in to The Portal. Do not share it. It works for 10 minutes.\n\n@portal.example.gov #012345"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	got = text(letterOf("http://localhost:8080", "Swyddfa Gŵyn’s \"A\" £ {Porth}", "enrol", "123456"))
	want = "123456 is your code to add this phone to Swyddfa Gwyn's \"A\" Porth. Do not share it. It works for 10 minutes.\n\n@localhost #123456"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestMessagesAreInTheLanguageOfThePage(t *testing.T) {
	l := letterOf("https://portal.example.gov", "Y Porth", "sign-in", "012345")
	l.scope.Language = "cy"
	if got, want := text(l), "012345 yw eich cod i fewngofnodi i Y Porth. Cadwch ef i chi'ch hun. Mae'n gweithio am 10 munud.\n\n@portal.example.gov #012345"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	l.minutes = 2
	if subject, body := mailFor(l); subject != "Eich cod ar gyfer Y Porth" || !strings.Contains(body, "am 2 funud") || strings.Contains(body, "{") {
		t.Errorf("%s\n%s", subject, body)
	}
	for id, words := range texts {
		for _, language := range []string{"en", "cy"} {
			if words[language] == "" {
				t.Errorf("%s is not in %s", id, language)
			}
		}
	}
}

func TestEveryTextIsOneOriginBoundMessage(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		host := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\.[a-z]{2,20}){1,4}`).Draw(rt, "host")
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z.:/ ]{0,80}`), rapid.Just(host)).Draw(rt, "name")
		purpose := rapid.SampledFrom([]string{"sign-in", "step-up", "enrol", "reset-password", "remove-credential"}).Draw(rt, "purpose")
		code := rapid.StringMatching(`[0-9]{6}`).Draw(rt, "code")
		l := letterOf("https://"+host+":8443", name, purpose, code)
		l.scope.Language = rapid.SampledFrom([]string{"", "en", "cy", "cy-GB", "fr"}).Draw(rt, "language")
		got := text(l)
		if h, c, ok := originBound(got); !ok || h != host || c != code {
			rt.Fatalf("%q is bound to %q, %q", got, h, c)
		}
		if len(got) > 160 || strings.ContainsFunc(got, func(r rune) bool {
			return r > unicode.MaxASCII || strings.ContainsRune("^{}\\[~]|`", r) || r < ' ' && r != '\n'
		}) {
			rt.Fatalf("%q: %d characters", got, len(got))
		}
		human, _, _ := strings.Cut(got, "\n\n@")
		if strings.Contains(human, "://") || strings.Contains(human, host) || strings.Count(human, code) < 1 || strings.Contains(human, "@") || strings.Contains(human, "#") {
			rt.Fatalf("%q", human)
		}
	})
}

func TestMailSaysNoCodeInItsSubject(t *testing.T) {
	subject, body := mailFor(letterOf("https://portal.example.gov", "The\r\nPortal", "sign-in", "012345"))
	if subject != "Your code for The Portal" || !strings.Contains(body, "\n012345\n") || !strings.Contains(body, "10 minutes") || strings.Contains(body, "://") {
		t.Errorf("%q\n%s", subject, body)
	}
	if subject, _ := mailFor(letterOf("https://portal.example.gov", "", "sign-in", "012345")); subject != "Your code for portal.example.gov" {
		t.Error(subject)
	}
}

// TestCodesAreUniform holds S-011: 10 000 codes, each place by itself and
// pairs of neighbours, against the uniform distribution.
func TestCodesAreUniform(t *testing.T) {
	const n = 10_000
	var places [digits][10]float64
	leading := 0
	for range n {
		code := newCode()
		if len(code) != digits {
			t.Fatalf("code of %d digits", len(code))
		}
		if code[0] == '0' {
			leading++
		}
		for i, d := range code {
			places[i][d-'0']++
		}
	}
	for i, counts := range places {
		chi := 0.0
		for _, c := range counts {
			chi += math.Pow(c-n/10, 2) / (n / 10)
		}
		// 9 degrees of freedom: above 39.7 in one of 100 000 runs.
		if chi > 39.7 {
			t.Errorf("place %d: chi-square %.1f, counts %v", i+1, chi, counts)
		}
		t.Logf("place %d: chi-square %.1f", i+1, chi)
	}
	if leading == 0 {
		t.Error("no code begins with 0")
	}
}
