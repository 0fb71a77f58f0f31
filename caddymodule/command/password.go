package command

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxPasswordBytes is more than any password may have; the rules say how long
// one can be.
const maxPasswordBytes = 4096

func passwordFlag(c *cobra.Command) {
	c.Flags().Bool("password-stdin", false, "read the password from standard input")
}

func fromStdin(c *cobra.Command) bool {
	yes, _ := c.Flags().GetBool("password-stdin")
	return yes
}

// readPassword reads one password. A line's end that an editor or echo left
// behind it is not part of it; everything else is.
func readPassword(in io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxPasswordBytes+2))
	if err != nil {
		return nil, fmt.Errorf("read password: %w", err)
	}
	return onePassword(text)
}

func onePassword(text []byte) ([]byte, error) {
	password, _ := bytes.CutSuffix(text, []byte("\n"))
	password, _ = bytes.CutSuffix(password, []byte("\r"))
	switch {
	case len(password) == 0:
		return nil, usagef("--password-stdin: standard input has no password")
	case len(password) > maxPasswordBytes:
		return nil, usagef("--password-stdin: the password is longer than %d bytes", maxPasswordBytes)
	case bytes.ContainsAny(password, "\r\n"):
		return nil, usagef("--password-stdin: standard input has more than one line")
	}
	return password, nil
}

// newPassword reads from standard input where that is asked for, and asks
// twice, without echo, where there is a terminal.
func newPassword(c *cobra.Command, username string) ([]byte, error) {
	if fromStdin(c) {
		return readPassword(c.InOrStdin())
	}
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		return nil, usagef("there is no terminal to ask at: give the password with --password-stdin")
	}
	first, err := prompt(c, terminal, fmt.Sprintf("New password for %s: ", visible(username)))
	if err != nil {
		return nil, err
	}
	again, err := prompt(c, terminal, "Once more: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		return nil, fmt.Errorf("the two differ: nothing was changed")
	}
	return first, nil
}

func prompt(c *cobra.Command, terminal int, text string) ([]byte, error) {
	c.PrintErr(text)
	typed, err := term.ReadPassword(terminal)
	c.PrintErrln()
	if err != nil {
		return nil, fmt.Errorf("read password: %w", err)
	}
	return typed, nil
}
