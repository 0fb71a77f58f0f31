package command

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestReadPasswordTakesOneLineAsItIs(t *testing.T) {
	for typed, want := range map[string]string{
		"secret":       "secret",
		"secret\n":     "secret",
		"secret\r\n":   "secret",
		" sec ret \n":  " sec ret ",
		"pässwörd\t\n": "pässwörd\t",
	} {
		if got, err := readPassword(strings.NewReader(typed)); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v; want %q", typed, got, err, want)
		}
	}
	for _, typed := range []string{"", "\n", "two\nlines", "secret\n\n", strings.Repeat("x", maxPasswordBytes+1)} {
		_, err := readPassword(strings.NewReader(typed))
		var usage *usageError
		if !errors.As(err, &usage) {
			t.Errorf("%.20q: error %v, want one of usage", typed, err)
		}
		if err != nil && len(typed) > 2 && strings.Contains(err.Error(), strings.TrimSpace(typed)) {
			t.Errorf("%.20q is in the error", typed)
		}
	}
}

func TestCommandsFindTheAdminEndpointOfTheConfiguration(t *testing.T) {
	t.Setenv("STEPGATE_TEST_ADMIN", "localhost:2999")
	for name, c := range map[string]struct {
		admin *caddy.AdminConfig
		want  string
	}{
		"default":     {nil, caddy.DefaultAdminListen},
		"off":         {&caddy.AdminConfig{Disabled: true, Listen: "localhost:2999"}, ""},
		"socket":      {&caddy.AdminConfig{Listen: "unix//run/admin.sock|0200"}, "unix//run/admin.sock|0200"},
		"placeholder": {&caddy.AdminConfig{Listen: "{env.STEPGATE_TEST_ADMIN}"}, "localhost:2999"},
	} {
		if got := adminAddress(c.admin); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTablesShowWhatCouldMoveTheCursor(t *testing.T) {
	var out bytes.Buffer
	if err := (printer{out: &out}).table([][]string{{"a\x1b[2Jb", "c\u202ed"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "a\ufffd[2Jb  c\ufffdd\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDemoTakesTheNextPortThatIsFree(t *testing.T) {
	var first, second demonstration
	for _, d := range []*demonstration{&first, &second} {
		listener, err := d.settle("")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	if second.Port <= first.Port {
		t.Errorf("%s after %s", second.Port, first.Port)
	}
}
