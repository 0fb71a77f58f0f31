package command

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/operation"
)

func userListCommand() *cobra.Command {
	c := leaf("list", "Lists accounts", cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		in := operation.UserListInput{Organisation: flagText(c, "organisation"), Source: flagText(c, "source"), Search: flagText(c, "search")}
		return atDesk(c, func(d *desk) error { return listUsers(c, d, in) })
	})
	c.Flags().String("organisation", "", "only accounts of this `organisation`")
	c.Flags().String("source", "", "only accounts of this sign-in `source`")
	c.Flags().String("search", "", "only accounts with this `text` in username, name or e-mail address")
	return c
}

// listUsers prints a page at a time: the whole list is never in memory.
func listUsers(c *cobra.Command, d *desk, in operation.UserListInput) error {
	p := newPrinter(c)
	rows := [][]string{{"USERNAME", "NAME", "ORGANISATION", "ROLE", "STATE", "E-MAIL", "MOBILE", "SOURCE"}}
	for {
		page, err := ask(c.Context(), d, operation.UserList, in)
		if err != nil {
			return err
		}
		for _, u := range page {
			if p.json {
				if err := p.object(u); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, []string{u.Username, orDash(u.Name), u.Organisation, string(u.Role), state(u), orDash(u.Email), orDash(u.Mobile), u.Source})
		}
		if !p.json {
			if err := p.table(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
		if len(page) < operation.UserPage {
			return nil
		}
		in.After = page[len(page)-1].ID
	}
}

func state(u operation.UserView) string {
	if u.Suspended {
		return "suspended"
	}
	return "in use"
}

func userShowCommand() *cobra.Command {
	c := leaf("show USERNAME", "Shows an account and its factors", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		return atDesk(c, func(d *desk) error {
			u, err := ask(c.Context(), d, operation.UserShow, who(c, args[0]))
			if err != nil {
				return err
			}
			if p := newPrinter(c); !p.json {
				return p.table(userSheet(u))
			}
			return newPrinter(c).object(u)
		})
	})
	sourceFlag(c)
	return c
}

// userSheet is an account as rows of a name and a value.
func userSheet(u operation.UserView) [][]string {
	rows := [][]string{
		{"Username", u.Username}, {"Name", orDash(u.Name)}, {"E-mail", orDash(u.Email)}, {"Mobile", orDash(u.Mobile)},
		{"Groups", orDash(strings.Join(u.Groups, ", "))}, {"Organisation", u.Organisation}, {"Role", string(u.Role)},
		{"Source", u.Source}, {"State", state(u)}, {"Created", u.CreatedAt.Format(time.RFC3339)}, {"ID", string(u.ID)},
	}
	if u.Source == account.LocalSource {
		rows = append(rows, []string{"Password", map[bool]string{true: "set", false: "not set"}[*u.PasswordSet]})
	}
	if u.TwoFactor {
		rows = append(rows, []string{"Two-factor", "switched on by the person"})
	}
	for _, c := range u.Credentials {
		text := c.Label
		if c.Address != "" {
			text += " (" + c.Address + ")"
		}
		if c.Default {
			text += ", default"
		}
		rows = append(rows, []string{"Factor " + c.Factor, text})
	}
	return rows
}
