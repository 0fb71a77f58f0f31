package legacyform

import (
	"fmt"
	"io"
	"strings"
)

// WriteTo writes the block of a Caddyfile, each line with its reason, and
// what stayed open as comments.
func (l *Learned) WriteTo(w io.Writer) (int64, error) {
	b := &blockWriter{learned: l}
	c := &l.Config
	for _, t := range c.Submit {
		words := []string{"submit", t.Method, quote(t.Path)}
		for _, f := range t.Form {
			words = append(words, "form", quote(f.Name), quote(f.Value))
		}
		b.line("submit", words...)
	}
	b.line("username_field", "username_field", quote(c.UsernameField))
	b.line("password_field", "password_field", quote(c.PasswordField))
	if c.Charset != "" {
		b.line("charset", "charset", c.Charset)
	}
	b.conditions("success", c.Success)
	b.conditions("failure", c.Failure)
	if len(c.SessionCookies) > 0 {
		b.line("session_cookie", append([]string{"session_cookie"}, c.SessionCookies...)...)
	}
	if i := c.Identity; i != nil {
		b.line("identity", "identity", i.Kind, quote(i.Name), quote(i.Pattern))
	}
	for _, page := range c.LoginPages {
		b.line("login_page", "login_page", quote(page))
	}
	for _, t := range c.SignOut {
		b.line("sign_out", "sign_out", quote(t.Path))
	}
	var out strings.Builder
	out.WriteString("sign_in legacy_form {\n")
	out.WriteString(b.text.String())
	out.WriteString("}\n")
	for _, sentence := range l.Open {
		fmt.Fprintf(&out, "# %s\n", sentence)
	}
	n, err := io.WriteString(w, out.String())
	return int64(n), err
}

type blockWriter struct {
	learned *Learned
	text    strings.Builder
}

// line writes the reason above the option, for options may be long.
func (b *blockWriter) line(option string, words ...string) {
	if reason := b.learned.Reasons[option]; reason != "" {
		fmt.Fprintf(&b.text, "\t# %s\n", reason)
	}
	fmt.Fprintf(&b.text, "\t%s\n", strings.Join(words, " "))
}

func (b *blockWriter) conditions(option string, all []Condition) {
	for _, c := range all {
		words := []string{option, c.Kind}
		if c.Name != "" {
			words = append(words, c.Name)
		}
		for _, v := range c.Values {
			words = append(words, quote(v))
		}
		b.line(option+" "+c.Kind, words...)
	}
}

// quote writes a word as the Caddyfile reads it back.
func quote(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\n\"`{}#\\") {
		return word
	}
	if !strings.Contains(word, "`") {
		return "`" + word + "`"
	}
	return `"` + strings.ReplaceAll(word, `"`, `\"`) + `"`
}
