package block

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/policy"
)

// Block reads the options of a block: each is known by its word, and each
// may stand once unless it says otherwise.
type Block struct {
	Name     string
	Options  map[string]func(d *caddyfile.Dispenser) error
	Repeated []string
}

// Parse goes through the block at the dispenser's place.
func (b Block) Parse(d *caddyfile.Dispenser) error {
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		option, ok := b.Options[word]
		if !ok {
			return Unknown(d, b.Name, word, b.words())
		}
		if seen[word] && !slices.Contains(b.Repeated, word) {
			return d.Errf("%s: `%s` is there twice", b.Name, word)
		}
		seen[word] = true
		if err := option(d); err != nil {
			return err
		}
	}
	return nil
}

func (b Block) words() []string {
	var words []string
	for w := range b.Options {
		words = append(words, w)
	}
	slices.Sort(words)
	return words
}

// Unknown is the error of a word that is none of known.
func Unknown(d *caddyfile.Dispenser, what, word string, known []string) error {
	return d.Errf("%s: no such option `%s`%s", what, word, Expected(word, known))
}

// Expected is the end of an error about a word that is none of known: the
// nearest of them, and all.
func Expected(word string, known []string) string {
	all := strings.Join(known, ", ")
	if near := policy.Nearest(word, known); near != "" {
		return fmt.Sprintf("; did you mean `%s`? Expected one of %s", near, all)
	}
	if all == "" {
		return ""
	}
	return "; expected one of " + all
}

// DidYouMean is the end of an error about a word: the nearest one known, or
// nothing.
func DidYouMean(word string, known []string) string {
	if near := policy.Nearest(word, known); near != "" && near != word {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}

// NoMore refuses arguments that nobody reads.
func NoMore(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("unexpected `%s`", d.Val())
	}
	return nil
}

// NoBlock refuses a block after an option that has none.
func NoBlock(d *caddyfile.Dispenser) error {
	if err := NoMore(d); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		return d.Errf("unexpected block: no option `%s` here", d.Val())
	}
	return nil
}

// OneWord is an option with exactly one argument.
func OneWord(into *string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		if !d.NextArg() {
			return d.Errf("%s: expected a value", option)
		}
		if d.Val() == "" {
			return d.Errf(`%s: expected a value, but it is empty: ""`, option)
		}
		*into = d.Val()
		if d.NextArg() {
			return d.Errf("%s: expected one value, but there is `%s` too", option, d.Val())
		}
		return NoBlock(d)
	}
}

// Checked is an option with one argument that check may refuse.
func Checked(into *string, check func(string) error) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		if err := OneWord(into)(d); err != nil {
			return err
		}
		if err := check(*into); err != nil {
			return d.Errf("%s %s: %w", option, *into, err)
		}
		return nil
	}
}

// OneOf is an option whose argument is one of some words.
func OneOf(into *string, words ...string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		if err := OneWord(into)(d); err != nil {
			return err
		}
		if !slices.Contains(words, *into) {
			return d.Errf("%s: `%s`: expected %s%s", option, *into, strings.Join(words, " or "), DidYouMean(*into, words))
		}
		return nil
	}
}

// Flag is an option without arguments.
func Flag(into *bool) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		*into = true
		return NoBlock(d)
	}
}

// Duration is an option with a length of time, which needs a unit.
func Duration(into *caddy.Duration) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		var text string
		if err := OneWord(&text)(d); err != nil {
			return err
		}
		span, err := caddy.ParseDuration(text)
		if err != nil || span <= 0 {
			return d.Errf("%s: `%s`: expected a length of time with its unit, such as 10m", option, text)
		}
		*into = caddy.Duration(span)
		return nil
	}
}

// Number is an option with a whole number above zero.
func Number(into *int) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		var text string
		if err := OneWord(&text)(d); err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return d.Errf("%s: `%s`: expected a whole number above zero", option, text)
		}
		*into = n
		return nil
	}
}

// WordList is an option with one or more arguments.
func WordList(into *[]string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		*into = d.RemainingArgs()
		if len(*into) == 0 {
			return d.Errf("%s: expected one or more values", option)
		}
		return NoBlock(d)
	}
}

// Path is an option with a path, which counts from the Caddyfile.
func Path(into *string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if err := OneWord(into)(d); err != nil {
			return err
		}
		*into = Beside(d, *into)
		return nil
	}
}

// Beside makes a relative path absolute: it counts from the file in
// which it is written, whatever folder the gateway is started in.
func Beside(d *caddyfile.Dispenser, name string) string {
	if filepath.IsAbs(name) || strings.HasPrefix(name, "{") {
		return name
	}
	joined := filepath.Join(filepath.Dir(d.File()), name)
	if abs, err := filepath.Abs(joined); err == nil {
		return abs
	}
	return joined
}

// Position is where the dispenser's token stands.
func Position(d *caddyfile.Dispenser) policy.Position {
	return policy.Position{File: filepath.Base(d.File()), Line: d.Line()}
}

// PolicyDuration is for policy options, which keep their unit in JSON.
func PolicyDuration(d *caddyfile.Dispenser, option string) (policy.Duration, error) {
	if !d.NextArg() {
		return 0, d.Errf("%s: expected a length of time, such as 10m", option)
	}
	span, err := caddy.ParseDuration(d.Val())
	if err != nil || span <= 0 {
		return 0, d.Errf("%s: `%s`: expected a length of time with its unit, such as 10m", option, d.Val())
	}
	return policy.Duration(time.Duration(span)), nil
}

// UnknownModule is the error of a name that no module of a namespace has.
func UnknownModule(d *caddyfile.Dispenser, option, name, namespace string) error {
	var known []string
	for _, m := range caddy.GetModules(namespace) {
		known = append(known, m.ID.Name())
	}
	return d.Errf("%s: there is no `%s` in this build%s", option, name, Expected(name, known))
}

// Secrets resolves placeholders of the kinds {env.X} and {file.X}. An error
// names the placeholder, never what it stands for.
func Secrets(fields ...*string) error {
	repl := caddy.NewReplacer()
	for _, field := range fields {
		value, err := repl.ReplaceOrErr(*field, true, true)
		if err != nil {
			return err
		}
		*field = strings.TrimSpace(value) // a file ends with a line's end
	}
	return nil
}

// RefusedAt gives the error of a provider's options the place of its block,
// unless a placeholder may still mend it.
func RefusedAt(d *caddyfile.Dispenser, name string, err error, texts ...string) error {
	for _, text := range texts {
		if strings.Contains(text, "{") {
			return nil
		}
	}
	if err != nil {
		return d.Errf("%s: %w", name, err)
	}
	return nil
}
