package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/stepgate/stepgate/caddymodule/command"
)

const description = `Stepgate adds step-up authentication in front of a web application that
cannot be changed. It is Caddy with a module: the gateway is configured in
the Caddyfile by the directive "stepgate".`

// introduce answers what is asked of the program as a whole: what it is, and
// which version. Caddy would answer for itself. It tells whether it did.
func introduce(out io.Writer, args []string) bool {
	if len(args) > 1 {
		return false
	}
	asked := "help"
	if len(args) == 1 {
		asked = args[0]
	}
	switch asked {
	case "help", "--help", "-h":
		help(out)
	case "version", "--version", "-v":
		fmt.Fprintln(out, version())
	default:
		return false
	}
	return true
}

// help lists the gateway's commands before those of the server below it.
func help(out io.Writer) {
	fmt.Fprintf(out, "%s\n\nUsage: stepgate COMMAND [flags]\n\nThe gateway:\n", description)
	others := maps.Clone(caddycmd.Commands())
	delete(others, "stepgate")
	for _, c := range command.Commands() {
		fmt.Fprintf(out, "  %-15s %s\n", c.Name, c.Short)
		delete(others, c.Name)
	}
	fmt.Fprint(out, "\nThe server (Caddy):\n")
	for _, name := range slices.Sorted(maps.Keys(others)) {
		fmt.Fprintf(out, "  %-15s %s\n", name, others[name].Short)
	}
	fmt.Fprint(out, `
Begin with:
  stepgate user add NAME --role owner --password-stdin
  stepgate run

"stepgate COMMAND --help" says more about a command.
`)
}

// version names the gateway's build and the Caddy in it.
func version() string {
	built, revision := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		built = cmp.Or(info.Main.Version, built)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = ", revision " + s.Value
			}
		}
	}
	caddyVersion, _ := caddy.Version()
	return fmt.Sprintf("Stepgate %s (Caddy %s, %s%s)", built, caddyVersion, runtime.Version(), revision)
}
