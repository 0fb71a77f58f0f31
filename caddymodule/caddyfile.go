package caddymodule

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/stepgate/stepgate/policy"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("stepgate", parseApp)
	httpcaddyfile.RegisterDirective("stepgate", parseSite)
	httpcaddyfile.RegisterDirectiveOrder("stepgate", httpcaddyfile.After, "forward_auth")
}

// block reads the options of a block: each is known by its word, and each
// may stand once unless it says otherwise.
type block struct {
	name     string
	options  map[string]func(d *caddyfile.Dispenser) error
	repeated []string
}

// parse goes through the block at the dispenser's place.
func (b block) parse(d *caddyfile.Dispenser) error {
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		option, ok := b.options[word]
		if !ok {
			return unknown(d, b.name, word, b.words())
		}
		if seen[word] && !slices.Contains(b.repeated, word) {
			return d.Errf("%s: `%s` is there twice", b.name, word)
		}
		seen[word] = true
		if err := option(d); err != nil {
			return err
		}
	}
	return nil
}

func (b block) words() []string {
	var words []string
	for w := range b.options {
		words = append(words, w)
	}
	slices.Sort(words)
	return words
}

// unknown is the error of a word that is none of known.
func unknown(d *caddyfile.Dispenser, what, word string, known []string) error {
	if near := policy.Nearest(word, known); near != "" {
		return d.Errf("%s: no such option `%s`; did you mean `%s`?", what, word, near)
	}
	return d.Errf("%s: no such option `%s`; expected one of %s", what, word, strings.Join(known, ", "))
}

func didYouMean(word string, known []string) string {
	if near := policy.Nearest(word, known); near != "" && near != word {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}

// noMore refuses arguments that nobody reads.
func noMore(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("unexpected `%s`", d.Val())
	}
	return nil
}

// noBlock refuses a block after an option that has none.
func noBlock(d *caddyfile.Dispenser) error {
	if err := noMore(d); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		return d.Errf("unexpected block: no option `%s` here", d.Val())
	}
	return nil
}

// oneWord is an option with exactly one argument.
func oneWord(into *string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		if !d.NextArg() {
			return d.Errf("%s: expected a value", option)
		}
		*into = d.Val()
		if d.NextArg() {
			return d.Errf("%s: expected one value, but there is `%s` too", option, d.Val())
		}
		return noBlock(d)
	}
}

// checked is an option with one argument that check may refuse.
func checked(into *string, check func(string) error) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		if err := oneWord(into)(d); err != nil {
			return err
		}
		if err := check(*into); err != nil {
			return d.Errf("%s %s: %w", option, *into, err)
		}
		return nil
	}
}

// oneOf is an option whose argument is one of some words.
func oneOf(into *string, words ...string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		if err := oneWord(into)(d); err != nil {
			return err
		}
		if !slices.Contains(words, *into) {
			return d.Errf("%s: `%s`: expected %s%s", option, *into, strings.Join(words, " or "), didYouMean(*into, words))
		}
		return nil
	}
}

// flag is an option without arguments.
func flag(into *bool) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		*into = true
		return noBlock(d)
	}
}

// duration is an option with a length of time, which needs a unit.
func duration(into *caddy.Duration) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		var text string
		if err := oneWord(&text)(d); err != nil {
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

// number is an option with a whole number above zero.
func number(into *int) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		var text string
		if err := oneWord(&text)(d); err != nil {
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

// wordList is an option with one or more arguments.
func wordList(into *[]string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		*into = d.RemainingArgs()
		if len(*into) == 0 {
			return d.Errf("%s: expected one or more values", option)
		}
		return noBlock(d)
	}
}

// path is an option with a path, which counts from the Caddyfile.
func path(into *string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if err := oneWord(into)(d); err != nil {
			return err
		}
		*into = besideCaddyfile(d, *into)
		return nil
	}
}

// besideCaddyfile makes a relative path absolute: it counts from the file in
// which it is written, whatever folder the gateway is started in.
func besideCaddyfile(d *caddyfile.Dispenser, name string) string {
	if filepath.IsAbs(name) || strings.HasPrefix(name, "{") {
		return name
	}
	joined := filepath.Join(filepath.Dir(d.File()), name)
	if abs, err := filepath.Abs(joined); err == nil {
		return abs
	}
	return joined
}

// position is where the dispenser's token stands.
func position(d *caddyfile.Dispenser) policy.Position {
	return policy.Position{File: filepath.Base(d.File()), Line: d.Line()}
}

// parsePolicyDuration is for policy options, which keep their unit in JSON.
func parsePolicyDuration(d *caddyfile.Dispenser, option string) (policy.Duration, error) {
	if !d.NextArg() {
		return 0, d.Errf("%s: expected a length of time, such as 10m", option)
	}
	span, err := caddy.ParseDuration(d.Val())
	if err != nil || span <= 0 {
		return 0, d.Errf("%s: `%s`: expected a length of time with its unit, such as 10m", option, d.Val())
	}
	return policy.Duration(time.Duration(span)), nil
}
