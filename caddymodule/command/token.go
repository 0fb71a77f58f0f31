package command

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/internal/people"
)

// userTokenCommand draws
//
//	user token add USERNAME --name NAME --path PATTERN… [--method M]… [--address A]… [--lifetime 2160h]
//	user token list USERNAME
//	user token revoke USERNAME ID
func userTokenCommand() *cobra.Command {
	c := &cobra.Command{Use: "token", Short: "Tokens with which programs use an account"}
	c.Long = "A program that cannot answer a challenge sends a token: as `Authorization: Bearer`, or as\n" +
		"the password of HTTP Basic. It opens only what its paths, methods and addresses say, and\n" +
		"counts only where a level of the policy names `token`."
	group(c)
	c.AddCommand(tokenAddCommand(), tokenListCommand(), tokenRevokeCommand())
	return c
}

func tokenAddCommand() *cobra.Command {
	c := leaf("add USERNAME", "Makes a token and prints it, once", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		asked, err := tokenAsked(c)
		if err != nil {
			return err
		}
		in := operation.UserTokenInput{UserInput: operation.UserInput{Who: who(c, args[0]), Reason: flagText(c, "reason")}, Token: asked}
		return atDesk(c, func(d *desk) error {
			made, err := ask(c.Context(), d, operation.UserTokenAdd, in)
			if err != nil {
				return err
			}
			if p := newPrinter(c); p.json {
				return p.object(made)
			}
			c.PrintErrf("%s, for %s, until %s; it is not shown again:\n", visible(made.Label), visible(made.Username), made.Bounds.EndsAt.Local().Format(time.DateTime))
			_, err = fmt.Fprintln(c.OutOrStdout(), made.Token)
			return err
		})
	})
	flags := c.Flags()
	flags.String("name", "", "what it is for, as `text`")
	flags.StringArray("path", nil, "a `pattern` of paths, such as /dav/*; repeat for several")
	flags.StringArray("method", nil, "a `method` that it may use; repeat for several; default all")
	flags.StringArray("address", nil, "an `address` or network that it may come from; repeat for several; default all")
	flags.Var(newSpan(people.DefaultTokenLife), "lifetime", "how long it works, up to a year")
	sourceFlag(c)
	reasonFlag(c)
	c.Example = "  stepgate user token add backup --name \"Nightly backup\" --path '/dav/*' --method GET --method PROPFIND"
	return c
}

// tokenAsked reads the flags of a new token.
func tokenAsked(c *cobra.Command) (people.NewToken, error) {
	flags := c.Flags()
	n := people.NewToken{Label: strings.TrimSpace(flagText(c, "name"))}
	n.Bounds.Paths, _ = flags.GetStringArray("path")
	n.Bounds.Methods, _ = flags.GetStringArray("method")
	if n.Label == "" || len(n.Bounds.Paths) == 0 {
		return n, usagef("a token needs --name, which says what it is for, and --path, which says what it opens")
	}
	addresses, _ := flags.GetStringArray("address")
	for _, text := range addresses {
		prefix, err := netip.ParsePrefix(text)
		if addr, single := netip.ParseAddr(text); single == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return n, usagef("--address %q: expected an address or a network, such as 192.0.2.0/24", text)
		}
		n.Bounds.Addresses = append(n.Bounds.Addresses, prefix.Masked())
	}
	lifetime, err := flags.GetDuration("lifetime")
	if err != nil || lifetime <= 0 {
		return n, errors.Join(usagef("--lifetime: expected a time such as 30d"), err)
	}
	n.Bounds.EndsAt = time.Now().UTC().Add(lifetime)
	return n, nil
}

func tokenListCommand() *cobra.Command {
	c := leaf("list USERNAME", "Lists the tokens of an account", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		return atDesk(c, func(d *desk) error {
			all, err := ask(c.Context(), d, operation.UserTokenList, who(c, args[0]))
			if err != nil {
				return err
			}
			p := newPrinter(c)
			rows := [][]string{{"ID", "NAME", "PATHS", "METHODS", "ENDS", "LAST USED"}}
			for _, v := range all {
				if p.json {
					if err := p.object(v); err != nil {
						return err
					}
					continue
				}
				used := "never"
				if !v.LastUsedAt.IsZero() {
					used = v.LastUsedAt.Format(time.RFC3339)
				}
				rows = append(rows, []string{string(v.ID), v.Label, strings.Join(v.Bounds.Paths, " "), orDash(strings.Join(v.Bounds.Methods, " ")), v.Bounds.EndsAt.Format(time.RFC3339), used})
			}
			if p.json {
				return nil
			}
			return p.table(rows)
		})
	})
	sourceFlag(c)
	return c
}

func tokenRevokeCommand() *cobra.Command {
	c := leaf("revoke USERNAME ID", "Revokes a token, within a second", cobra.ExactArgs(2), func(c *cobra.Command, args []string) error {
		in := operation.UserTokenRevokeInput{UserInput: operation.UserInput{Who: who(c, args[0]), Reason: flagText(c, "reason")}, ID: account.CredentialID(args[1])}
		return atDesk(c, func(d *desk) error {
			u, err := ask(c.Context(), d, operation.UserTokenRevoke, in)
			if err != nil {
				return err
			}
			return newPrinter(c).print(u, "revoked the token of %s", u.Username)
		})
	})
	sourceFlag(c)
	reasonFlag(c)
	return c
}
