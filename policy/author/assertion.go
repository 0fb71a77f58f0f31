package author

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
)

// The words of an assertion that are no levels.
const (
	wantPublic  = policy.LevelPublic
	wantDeny    = string(policy.VerbDeny)
	wantRefused = "400"
)

// Assertion is one line of an assertion file:
//
//	METHOD URL [--group G]… [--organisation O] … -> LEVEL…|public|deny|400
type Assertion struct {
	File string
	Line int
	// Host chooses the site; empty for a path.
	Host  string
	Facts Facts
	// Want is levels, in any order, or one of the words public, deny, 400.
	Want []string
}

// maxAssertion is how many bytes a line of assertions may have, and maxMistakes
// how many are told of one file.
const (
	maxAssertion = 1 << 20
	maxMistakes  = 20
)

// ReadAssertions reads a file of assertions; name is for messages. Blank
// lines and what follows a `#` at the beginning of a word count for nothing.
// The error has every mistake, one a line, with FILE:LINE; the assertions
// without one are there beside it.
func ReadAssertions(name string, r io.Reader) ([]Assertion, error) {
	var list []Assertion
	var mistakes []error
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxAssertion)
	n := 1
	for ; lines.Scan() && len(mistakes) < maxMistakes; n++ {
		words, err := splitWords(lines.Text())
		if err == nil && len(words) == 0 {
			continue
		}
		a := Assertion{File: name, Line: n}
		if err == nil {
			err = a.parse(words)
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", position(name, n), err))
			continue
		}
		list = append(list, a)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		mistakes = append(mistakes, fmt.Errorf("%s: a line of more than %d bytes; an assertion is one line", position(name, n), maxAssertion))
	case len(mistakes) == maxMistakes:
		mistakes = append(mistakes, fmt.Errorf("%s: so many mistakes that the rest was not read", position(name, n)))
	case err != nil:
		mistakes = append(mistakes, fmt.Errorf("read %s: %w", name, err))
	}
	return list, errors.Join(mistakes...)
}

var errShape = errors.New("expected METHOD URL [--group G …] -> LEVEL…, public, deny or 400")

func (a *Assertion) parse(words []string) error {
	arrow := slices.Index(words, "->")
	if arrow < 0 || arrow == len(words)-1 {
		return errShape
	}
	a.Want = words[arrow+1:]
	words = words[:arrow]
	if len(a.Want) > 1 {
		for _, word := range []string{wantPublic, wantDeny, wantRefused} {
			if slices.Contains(a.Want, word) {
				return fmt.Errorf("%q does not go together with other words", word)
			}
		}
	}
	if len(words) > 0 && !isURL(words[0]) {
		a.Facts.Method, words = words[0], words[1:]
	}
	if len(words) == 0 {
		return errShape
	}
	var err error
	if a.Host, a.Facts.Target, err = ParseURL(words[0]); err != nil {
		return err
	}
	return a.Facts.setAll(words[1:])
}

// isURL tells a URL from a method.
func isURL(word string) bool {
	return strings.HasPrefix(word, "/") || strings.Contains(word, "://")
}

// setAll reads flags as a command line has them.
func (f *Facts) setAll(words []string) error {
	for len(words) > 0 {
		flag, ok := strings.CutPrefix(words[0], "--")
		if !ok {
			return fmt.Errorf("unexpected %q: %w", words[0], errShape)
		}
		flag, value, valued := strings.Cut(flag, "=")
		words = words[1:]
		if !valued && flag != "signed-in" && slices.Contains(Flags(), flag) {
			if len(words) == 0 {
				return fmt.Errorf("--%s: the value is missing", flag)
			}
			value, words = words[0], words[1:]
		}
		if err := f.Set(flag, value); err != nil {
			return err
		}
	}
	return nil
}

// splitWords cuts a line at blanks. A word in double quotes may have blanks;
// a `#` where a word would begin starts a comment.
func splitWords(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t\r")
		if line == "" || line[0] == '#' {
			return words, nil
		}
		var word strings.Builder
		quoted := false
		end := 0
		for ; end < len(line) && (quoted || !strings.ContainsRune(" \t\r", rune(line[end]))); end++ {
			if line[end] == '"' {
				quoted = !quoted
				continue
			}
			word.WriteByte(line[end])
		}
		if quoted {
			return nil, errors.New("a quotation mark is not closed")
		}
		words = append(words, word.String())
		line = line[end:]
	}
}

// Verdict is what became of one assertion.
type Verdict struct {
	File   string   `json:"file"`
	Line   int      `json:"line"`
	Method string   `json:"method"`
	URL    string   `json:"url"`
	Want   []string `json:"want"`
	// Got is what holds, in the words of an assertion.
	Got   []string `json:"got"`
	Holds bool     `json:"holds"`
	// Answer says why.
	Answer Answer `json:"-"`
}

// Check holds an assertion against a site. Levels are compared by what meets
// them: `mfa` is as good as `signed_in mfa`. An error is a level that the
// site does not have.
func (a Assertion) Check(s *Site) (Verdict, error) {
	answer := s.Explain(a.Facts)
	v := Verdict{
		File: a.File, Line: a.Line, Method: answer.Method, URL: a.Facts.Target, Want: a.Want, Got: answer.says(), Answer: answer,
	}
	want, err := s.levels(a.Want)
	if err != nil {
		return v, fmt.Errorf("%s: %w", position(a.File, a.Line), err)
	}
	switch {
	case slices.Contains([]string{wantPublic, wantDeny, wantRefused}, v.Got[0]), len(want) == 0:
		v.Holds = slices.Equal(v.Want, v.Got)
	default:
		v.Holds = s.equivalent(want, v.Got)
	}
	return v, nil
}

// says is what an answer comes to, in the words of an assertion.
func (a Answer) says() []string {
	switch {
	case a.Refused != nil:
		return []string{wantRefused}
	case a.Deny:
		return []string{wantDeny}
	case a.Public:
		return []string{wantPublic}
	case len(a.Levels) == 0:
		return []string{policy.LevelSignedIn}
	default:
		return a.Levels
	}
}

// levels returns the words that are levels, none for the other words.
func (s *Site) levels(want []string) ([]string, error) {
	if slices.Contains([]string{wantPublic, wantDeny, wantRefused}, want[0]) {
		return nil, nil
	}
	for _, name := range want {
		if _, ok := s.Policy.Level(name); !ok {
			known := []string{wantPublic, wantDeny, wantRefused}
			for _, l := range s.Policy.Levels() {
				known = append(known, l.Name())
			}
			return nil, wrongWord("", name, known...)
		}
	}
	return want, nil
}

// equivalent tells whether the same proofs meet both sets of names.
func (s *Site) equivalent(a, b []string) bool {
	x, y := s.set(a), s.set(b)
	return !s.Policy.Weaker(x, y) && !s.Policy.Weaker(y, x)
}

func (s *Site) set(names []string) policy.LevelSet {
	var set policy.LevelSet
	for _, name := range names {
		if l, ok := s.Policy.Level(name); ok {
			set |= l.Set()
		}
	}
	return set
}

// Error says what holds instead, and where the rule stands that decided.
func (v Verdict) Error() string {
	text := fmt.Sprintf("%s: %s %s: asserted %s, but it is %s", position(v.File, v.Line), visible(v.Method), visible(v.URL), words(v.Want), words(v.Got))
	x := v.Answer
	switch {
	case x.Refused != nil:
		return text + ": " + x.Refused.Text
	case x.Own:
		return text + ": it is a page of the gateway itself"
	}
	text += ", decided by " + strings.ReplaceAll(decidedBy(x.Explanation), "  ", " ")
	for _, r := range x.RaisedBy {
		text += fmt.Sprintf("; %s was raised when %s", r.Level, strings.Join(r.Conditions, " and "))
		if r.File != "" {
			text += " (" + position(r.File, r.Line) + ")"
		}
	}
	return text
}
