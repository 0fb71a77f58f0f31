package command

import (
	"errors"
	"fmt"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// Command is one of the gateway's own commands, as help lists it.
type Command struct {
	Name  string
	Short string
	// build adds flags and subcommands. It runs once for every place that
	// the command is registered at.
	build func(*cobra.Command)
}

// Commands lists the gateway's own commands, in the order of help. A new
// command is one line here.
func Commands() []Command {
	return []Command{
		{"demo", "Shows the gateway in front of a small legacy portal", buildDemo},
		{"organisation", "Adds, lists and changes organisations", buildOrganisation},
		{"user", "Adds, lists and changes accounts", buildUser},
		{"policy", "Explains, checks, compares and rehearses policies", buildPolicy},
		{"legacy", "Learns how a legacy application's login form answers", Legacy},
		{"keys", "Lists and rotates the keys of the key file", buildKeys},
		{"store", "Copies the store, or says what happened to it", buildStore},
		{"doctor", "Probes the running sites as an attacker would", buildDoctor},
		{"audit", "Shows, exports and verifies the audit trail", buildAudit},
	}
}

// shortForms is set where the commands stand at the top level.
var shortForms bool

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "stepgate",
		Usage: "COMMAND",
		Short: "Manages the accounts and policies of the Stepgate gateway",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Hidden = shortForms
			for _, c := range Commands() {
				sub := &cobra.Command{Use: c.Name, Short: c.Short}
				c.build(sub)
				cmd.AddCommand(sub)
			}
			group(cmd)
		},
	})
}

// RegisterShortForms puts the commands at the top level of a binary that is
// the gateway and nothing else: `stepgate user`, not `caddy stepgate user`.
// main calls it once, before Caddy's own Main.
func RegisterShortForms() {
	shortForms = true
	for _, c := range Commands() {
		caddycmd.RegisterCommand(caddycmd.Command{Name: c.Name, Short: c.Short, CobraFunc: func(cmd *cobra.Command) {
			cmd.Use = c.Name
			c.build(cmd)
		}})
	}
}

// exitUsage is the exit code of a command line that can never be right; every
// other error exits with 1.
const exitUsage = 2

// usageError is a command line that can never be right.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// group makes a command that only holds others. Called by itself it shows
// them, which is a mistake of usage.
func group(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return fail(c, usagef("%s", err)) })
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fail(c, usagef("%s needs a command", c.CommandPath()))
		}
		text := fmt.Sprintf("%s has no command %q", c.CommandPath(), args[0])
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			text += fmt.Sprintf(": did you mean %q?", near[0])
		}
		return fail(c, usagef("%s", text))
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.SuggestionsMinimumDistance = 2
}

// leaf makes a command that does something. use is its name and arguments.
func leaf(use, short string, args cobra.PositionalArgs, run func(*cobra.Command, []string) error) *cobra.Command {
	return &cobra.Command{
		Use:                   use,
		Short:                 short,
		DisableFlagsInUseLine: true,
		Args: func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return fail(c, usagef("%s", err))
			}
			return nil
		},
		RunE: func(c *cobra.Command, given []string) error { return fail(c, run(c, given)) },
	}
}

// fail prints an error and turns it into one that makes Caddy's Main exit
// with our code and print nothing more. A nil error stays nil.
func fail(c *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	c.SilenceErrors, c.SilenceUsage = true, true
	c.PrintErrln("Error:", plainly(err))
	var usage *usageError
	if !errors.As(err, &usage) {
		return err
	}
	c.PrintErrf("Usage: %s\nHelp: %s --help\n", usageLine(c), c.CommandPath())
	return exitWith(c, exitUsage)
}

// exitWith is how a cobra command tells Caddy's Main its exit code.
func exitWith(c *cobra.Command, code int) error {
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(c, nil)
}

func usageLine(c *cobra.Command) string {
	if !c.HasSubCommands() {
		return c.UseLine() + " [flags]"
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return c.CommandPath() + " " + strings.Join(names, "|")
}
