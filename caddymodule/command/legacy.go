package command

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
)

// Legacy makes the commands about the legacy app itself.
func Legacy(cmd *cobra.Command) {
	learn := leaf("learn URL", "Tries the app's login form and prints the legacy_form block", cobra.ExactArgs(1), learnForm)
	learn.Long = "Opens the login page at URL, tries a bad login and a good one, compares the\n" +
		"answers, looks for a page that says who is signed in, and prints the\n" +
		"legacy_form block with the reason for each line. The password is sent to\n" +
		"the app and kept nowhere. Exits with 1 where the block would not do."
	learn.Flags().String("username", "", "the `name` to sign in with")
	passwordFlag(learn)
	cmd.AddCommand(learn)
	group(cmd)
}

var errLearnedTooLittle = errors.New("what was found does not tell a good login from a bad one: complete the block by hand")

func learnForm(c *cobra.Command, args []string) error {
	page, err := url.Parse(args[0])
	if err != nil || page.Scheme != "http" && page.Scheme != "https" || page.Host == "" {
		return usagef("%s is not the address of a login page, such as http://127.0.0.1:9000/login.php", args[0])
	}
	if page.Path == "" {
		page.Path = "/"
	}
	username := flagText(c, "username")
	if username == "" {
		return usagef("say whose login to try with --username; the password is asked for")
	}
	password, err := existingPassword(c, username)
	if err != nil {
		return err
	}
	learner := &legacyform.Learner{
		Page: page, Username: username, Password: account.Secret(password),
		Transport: &http.Transport{ResponseHeaderTimeout: 30 * time.Second, DisableKeepAlives: true},
	}
	learned, err := learner.Learn(c.Context())
	if err != nil {
		return err
	}
	if _, err := learned.WriteTo(c.OutOrStdout()); err != nil {
		return err
	}
	if !learned.Works {
		return errLearnedTooLittle
	}
	return nil
}

// existingPassword reads from standard input where that is asked for, and
// asks once, without echo, where there is a terminal.
func existingPassword(c *cobra.Command, username string) ([]byte, error) {
	if fromStdin(c) {
		return readPassword(c.InOrStdin())
	}
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		return nil, usagef("there is no terminal to ask at: give the password with --password-stdin")
	}
	return prompt(c, terminal, "Password of "+visible(username)+" at the app: ")
}
