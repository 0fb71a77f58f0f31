package command

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/internal/people"
)

// buildUser draws
//
//	user add USERNAME [--email E] [--mobile M] [--name "FIRST LAST"] [--group G]…
//	         [--organisation O] [--role R] [--source S [--subject ID]] [--password-stdin]
//	user invite USERNAME
//	user list [--organisation O] [--source S] [--search TEXT]
//	user show USERNAME
//	user edit USERNAME [--username U] [--email E] [--mobile M] [--name N] [--group G]…
//	         [--organisation O] [--role R]
//	user set-password USERNAME [--password-stdin]
//	user suspend|resume|delete USERNAME
//	user reset-factors USERNAME [--two-person]
//	user temporary-code USERNAME [--lifetime 1h] [--two-person]
//	user token add|list|revoke USERNAME …
//	user import FILE [--dry-run]
func buildUser(cmd *cobra.Command) {
	cmd.Long = "Accounts are the people whom the gateway knows. The commands act through the running\n" +
		"gateway and hold within a second; without one they use the store that the\n" +
		"configuration names, and say so.\n\n" +
		"A username that several sign-in sources have needs --source."
	configFlags(cmd)
	group(cmd)
	cmd.AddCommand(
		userAddCommand(), userInviteCommand(), userListCommand(), userShowCommand(), userEditCommand(), userSetPasswordCommand(),
		twoPersonFlag(userVerb("reset-factors", "Removes all second factors, so that the person enrols anew", operation.UserResetFactors, func(v operation.UserView) string {
			return fmt.Sprintf("removed %s of %s and ended all sessions", number(*v.Removed, "credential"), v.Username)
		})),
		userTemporaryCodeCommand(), userTokenCommand(),
		userVerb("suspend", "Takes an account out of use and ends its sessions", operation.UserSuspend, func(v operation.UserView) string {
			return fmt.Sprintf("suspended %s and ended all sessions", v.Username)
		}),
		userVerb("resume", "Takes a suspended account into use again", operation.UserResume, func(v operation.UserView) string {
			return "resumed " + v.Username
		}),
		userVerb("delete", "Deletes an account", operation.UserDelete, func(v operation.UserView) string {
			return "deleted " + v.Username
		}),
		userImportCommand(),
	)
}

// recordFlags are the fields of an account that add and edit share.
func recordFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.String("email", "", "e-mail `address`")
	flags.String("mobile", "", "mobile `number`; kept in E.164")
	flags.String("name", "", "full `name`")
	flags.StringArray("group", nil, "a `group`; repeat for several")
	flags.String("organisation", "", "the `organisation` it belongs to")
	flags.String("role", "", "user, helpdesk, admin, owner or auditor")
	reasonFlag(c)
}

func userAddCommand() *cobra.Command {
	c := leaf("add USERNAME", "Adds an account", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		groups, _ := c.Flags().GetStringArray("group")
		in := operation.UserAddInput{NewAccount: people.NewAccount{
			Username: args[0], Email: flagText(c, "email"), Mobile: flagText(c, "mobile"), Name: flagText(c, "name"), Groups: groups,
			Organisation: flagText(c, "organisation"), Role: account.Role(flagText(c, "role")),
			Source: flagText(c, "source"), Subject: flagText(c, "subject"), Reason: flagText(c, "reason"),
		}}
		if fromStdin(c) {
			var err error
			if in.Password, err = readPassword(c.InOrStdin()); err != nil {
				return err
			}
		}
		return atDesk(c, func(d *desk) error { return addUser(c, d, in) })
	})
	recordFlags(c)
	c.Flags().String("source", "", "the sign-in `source`; default local, or the only one there is")
	c.Flags().String("subject", "", "the source's own `identifier` of the person")
	passwordFlag(c)
	c.Example = "  stepgate user add joe --email joe@example.gov --group staff --password-stdin < password.txt"
	return c
}

func addUser(c *cobra.Command, d *desk, in operation.UserAddInput) error {
	added, err := ask(c.Context(), d, operation.UserAdd, in)
	if err != nil {
		return err
	}
	if added.Invitation == nil && added.Source == account.LocalSource && !*added.PasswordSet {
		c.PrintErrf("Note: %s has no password and cannot sign in with one until: %s set-password %s\n",
			visible(added.Username), c.Parent().CommandPath(), visible(added.Username))
	}
	warn(c, added.Warnings)
	p := newPrinter(c)
	if err := p.print(added, "added %s (organisation %s, role %s)", added.Username, added.Organisation, added.Role); err != nil {
		return err
	}
	if added.Invitation == nil {
		return nil
	}
	return tellInvitation(c, p, *added.Invitation)
}

// tellInvitation says what became of an invitation, and prints the link where
// there is no e-mail to bring it.
func tellInvitation(c *cobra.Command, p printer, i operation.InvitationView) error {
	if i.Sent {
		c.PrintErrf("Note: an invitation to register is on its way to %s. It works once, until %s.\n", visible(i.Email), i.ExpiresAt.Format(time.RFC3339))
		return nil
	}
	c.PrintErrf("Note: %s can register at this link, once, until %s. Hand it over yourself: no e-mail was sent.\n",
		visible(i.Username), i.ExpiresAt.Format(time.RFC3339))
	if p.json {
		return nil
	}
	return p.print(nil, "%s", i.Link)
}

func userInviteCommand() *cobra.Command {
	c := leaf("invite USERNAME", "Sends the link with which a person registers", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		in := operation.UserInput{Who: who(c, args[0]), Reason: flagText(c, "reason")}
		return atDesk(c, func(d *desk) error {
			i, err := ask(c.Context(), d, operation.UserInvite, in)
			if err != nil {
				return err
			}
			if i.Sent {
				return newPrinter(c).print(i, "sent an invitation to %s; it works once, until %s", i.Email, i.ExpiresAt.Format(time.RFC3339))
			}
			return newPrinter(c).print(i, "%s", i.Link)
		})
	})
	sourceFlag(c)
	reasonFlag(c)
	c.Long = "Sends the link by e-mail, or prints it where no e-mail can be sent. The person proves\n" +
		"their mobile number and chooses a password. Earlier links of the account end."
	return c
}

func userEditCommand() *cobra.Command {
	c := leaf("edit USERNAME", "Changes an account", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		in := operation.UserEditInput{Who: who(c, args[0]), Changes: changes(c)}
		return atDesk(c, func(d *desk) error {
			u, err := ask(c.Context(), d, operation.UserEdit, in)
			if err != nil {
				return err
			}
			warn(c, u.Warnings)
			return newPrinter(c).print(u, "changed %s", u.Username)
		})
	})
	recordFlags(c)
	sourceFlag(c)
	c.Flags().String("username", "", "a new `username`, for a local account")
	c.Long = "Changes what is named and leaves the rest. An empty value clears a field;\n--group replaces all groups."
	return c
}

// changes has the fields that were named on the command line.
func changes(c *cobra.Command) people.Changes {
	text := func(name string) *string {
		if !c.Flags().Changed(name) {
			return nil
		}
		value := flagText(c, name)
		return &value
	}
	ch := people.Changes{
		Username: text("username"), Email: text("email"), Mobile: text("mobile"), Name: text("name"),
		Organisation: text("organisation"), Role: (*account.Role)(text("role")), Reason: flagText(c, "reason"),
	}
	if c.Flags().Changed("group") {
		groups, _ := c.Flags().GetStringArray("group")
		ch.Groups = &groups
	}
	return ch
}

func userSetPasswordCommand() *cobra.Command {
	c := leaf("set-password USERNAME", "Sets the password of a local account and ends its sessions", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		in := operation.UserPasswordInput{UserInput: operation.UserInput{Who: who(c, args[0]), Reason: flagText(c, "reason")}}
		var err error
		if in.Password, err = newPassword(c, args[0]); err != nil {
			return err
		}
		return atDesk(c, func(d *desk) error {
			u, err := ask(c.Context(), d, operation.UserSetPassword, in)
			if err != nil {
				return err
			}
			return newPrinter(c).print(u, "set the password of %s and ended all sessions", u.Username)
		})
	})
	sourceFlag(c)
	reasonFlag(c)
	passwordFlag(c)
	return c
}

// userVerb makes a command that does one thing to one account.
func userVerb(name, short string, op operation.Of[operation.UserInput, operation.UserView], done func(operation.UserView) string) *cobra.Command {
	c := leaf(name+" USERNAME", short, cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		return atDesk(c, func(d *desk) error {
			u, err := ask(c.Context(), d, op, userInput(c, args[0]))
			if err != nil {
				return err
			}
			return newPrinter(c).print(u, "%s", done(u))
		})
	})
	sourceFlag(c)
	reasonFlag(c)
	return c
}

// userInput is what is said about one account, and how.
func userInput(c *cobra.Command, username string) operation.UserInput {
	twoPerson, _ := c.Flags().GetBool("two-person")
	return operation.UserInput{Who: who(c, username), Reason: flagText(c, "reason"), TwoPerson: twoPerson}
}

// twoPersonFlag lets an operator ask for a second person.
func twoPersonFlag(c *cobra.Command) *cobra.Command {
	c.Flags().Bool("two-person", false, "wait until an administrator has approved it; say it again then, for a code")
	return c
}

func userTemporaryCodeCommand() *cobra.Command {
	c := leaf("temporary-code USERNAME", "Issues a code of one use to somebody who has no other second factor at hand", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		lifetime, _ := c.Flags().GetDuration("lifetime")
		in := operation.UserTemporaryInput{UserInput: userInput(c, args[0]), Lifetime: lifetime}
		return atDesk(c, func(d *desk) error {
			t, err := ask(c.Context(), d, operation.UserTemporaryCode, in)
			if err != nil {
				return err
			}
			if p := newPrinter(c); p.json {
				return p.object(t)
			}
			c.PrintErrf("for %s, one use, until %s; it is not shown again:\n", visible(t.Username), t.ExpiresAt.Local().Format(time.DateTime))
			_, err = fmt.Fprintln(c.OutOrStdout(), t.Code)
			return err
		})
	})
	twoPersonFlag(c)
	c.Flags().Var(newSpan(people.DefaultTemporaryLife), "lifetime", "how long it can be used, up to 24h")
	sourceFlag(c)
	reasonFlag(c)
	c.Long = "Be sure that you speak with the person before you give them the code. It stands in\n" +
		"for a second factor once, lets them add a new one, and voids any earlier code."
	return c
}

func userImportCommand() *cobra.Command {
	c := leaf("import FILE", "Adds the accounts of a CSV table", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		table, err := readTable(c, args[0])
		if err != nil {
			return err
		}
		dryRun, _ := c.Flags().GetBool("dry-run")
		in := operation.UserImportInput{CSV: table, DryRun: dryRun, Reason: flagText(c, "reason")}
		return atDesk(c, func(d *desk) error {
			result, err := ask(c.Context(), d, operation.UserImport, in)
			if err != nil {
				return err
			}
			warn(c, result.Warnings)
			if dryRun {
				return newPrinter(c).print(result, "%s could be imported; nothing was changed", number(result.Accounts, "account"))
			}
			return newPrinter(c).print(result, "imported %s", number(result.Accounts, "account"))
		})
	})
	c.Flags().Bool("dry-run", false, "check the table and change nothing")
	reasonFlag(c)
	c.Long = "The first row names the columns: username, and any of email, mobile, name, groups\n" +
		"(separated by semicolons), organisation, role, source, subject. All rows are checked\n" +
		"before the first is imported. FILE may be - for standard input."
	return c
}

// readTable reads the file, and no more of it than can be imported.
func readTable(c *cobra.Command, file string) ([]byte, error) {
	in := c.InOrStdin()
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read table: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	table, err := io.ReadAll(io.LimitReader(in, people.MaxImportBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	if len(table) > people.MaxImportBytes {
		return nil, fmt.Errorf("%s is larger than %d MiB: import it in parts", file, people.MaxImportBytes>>20)
	}
	return table, nil
}

func sourceFlag(c *cobra.Command) {
	c.Flags().String("source", "", "the sign-in `source`, where several have the username")
}

func who(c *cobra.Command, username string) people.Who {
	return people.Who{Username: username, Source: flagText(c, "source")}
}

// warn tells of what was done and may surprise.
func warn(c *cobra.Command, warnings []string) {
	for _, text := range warnings {
		c.PrintErrf("Warning: %s\n", visible(text))
	}
}
