package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
)

// Legacy makes the commands about the legacy app itself.
func Legacy(cmd *cobra.Command) {
	learn := leaf("learn URL", "Tries the app's login form and prints the legacy_form block", cobra.ExactArgs(1), learnForm)
	learn.Long = "Opens the login page at URL, tries a bad login and two good ones, compares\n" +
		"the answers, looks for a page that says who is signed in by a name that\n" +
		"people cannot change, and prints the legacy_form block with the reason for\n" +
		"each line. A second account, best one whose display name is not its name\n" +
		"to sign in, shows whether that holds of others, too. Passwords are sent to\n" +
		"the app and kept nowhere; with --password-stdin the second account's is the\n" +
		"second line. Exits with 1 where the block would not do."
	learn.Flags().String("username", "", "the `name` to sign in with")
	learn.Flags().String("also-username", "", "the `name` of a second account to try")
	learn.Flags().StringArray("field", nil, "a further field of the form, `NAME=VALUE`, such as a tenant; may be repeated")
	learn.Flags().String("host", "", "the `host` by which the app knows itself, where URL has another")
	passwordFlag(learn)
	confirm := leaf("confirm NAME", "Lets a name typed into the app's form lead to another account", cobra.ExactArgs(1), confirmName)
	confirm.Long = "A name that somebody has typed into the app's form and that has led to one\n" +
		"account leads to no other, and what the app calls somebody belongs to one\n" +
		"submitted name. A sign-in that says otherwise is refused, because people may\n" +
		"be able to change what the app calls them; `audit list` shows it as\n" +
		"name_conflict. Once you know that all is well, this lets the next sign-in\n" +
		"with NAME lead to whichever account the app says, within a week, and from\n" +
		"then on it leads there."
	confirm.Flags().String("source", "", "the sign-in `source`, if there are several")
	reasonFlag(confirm)
	configFlags(confirm)
	cmd.AddCommand(learn, confirm)
	group(cmd)
}

func confirmName(c *cobra.Command, args []string) error {
	in := operation.NameInput{Name: args[0], Source: flagText(c, "source"), Reason: flagText(c, "reason")}
	return atDesk(c, func(d *desk) error {
		view, err := ask(c.Context(), d, operation.LegacyConfirm, in)
		if err != nil {
			return err
		}
		return newPrinter(c).print(view, "%s may lead to another account at its next sign-in", view.Name)
	})
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
	fields, err := fieldFlags(c)
	if err != nil {
		return err
	}
	people, err := learners(c)
	if err != nil {
		return err
	}
	learner := &legacyform.Learner{
		Page: page, Host: flagText(c, "host"), Person: people[0], Also: people[1], Fields: fields,
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

// fieldFlags are the values of --field.
func fieldFlags(c *cobra.Command) (fields []legacyform.Field, err error) {
	given, err := c.Flags().GetStringArray("field")
	if err != nil {
		return nil, err
	}
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("--field %s: expected NAME=VALUE", visible(text))
		}
		fields = append(fields, legacyform.Field{Name: name, Value: value})
	}
	return fields, nil
}

// learners are the account to try and a second one, which may be nobody. Their
// passwords come from standard input, a line each, where that is asked for,
// and else from the terminal, without echo.
func learners(c *cobra.Command) (people [2]legacyform.Person, err error) {
	people[0].Username, people[1].Username = flagText(c, "username"), flagText(c, "also-username")
	if people[0].Username == "" {
		return people, usagef("say whose login to try with --username; the password is asked for")
	}
	if strings.EqualFold(people[0].Username, people[1].Username) {
		return people, usagef("--also-username: give another account than --username")
	}
	var lines [2][]byte
	if fromStdin(c) {
		text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 2*(maxPasswordBytes+2)))
		if err != nil {
			return people, fmt.Errorf("read passwords: %w", err)
		}
		lines[0] = text
		if people[1].Username != "" {
			lines[0], lines[1], _ = bytes.Cut(text, []byte("\n"))
		}
	}
	for i := range people {
		if people[i].Username == "" {
			continue
		}
		password, err := existingPassword(c, people[i].Username, lines[i])
		if err != nil {
			return people, err
		}
		people[i].Password = password
	}
	return people, nil
}

// existingPassword takes the line of standard input where that is asked for,
// and asks once, without echo, where there is a terminal.
func existingPassword(c *cobra.Command, username string, line []byte) ([]byte, error) {
	if fromStdin(c) {
		return onePassword(line)
	}
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		return nil, usagef("there is no terminal to ask at: give the password with --password-stdin")
	}
	return prompt(c, terminal, "Password of "+visible(username)+" at the app: ")
}
