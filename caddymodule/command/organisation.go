package command

import (
	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/operation"
)

// buildOrganisation draws
//
//	organisation add NAME [--require LEVEL] [--enrolment RULE] [--reason TEXT]
//	organisation list
//	organisation edit NAME [--require LEVEL] [--enrolment RULE] [--reason TEXT]
//	organisation delete NAME [--reason TEXT]
func buildOrganisation(cmd *cobra.Command) {
	cmd.Aliases = []string{"organization"}
	cmd.Long = "An organisation is a group of accounts with administrators of its own. It can require\n" +
		"a built-in level (signed_in, mfa, phishing_resistant) of its accounts on every path\n" +
		"that is not public, and say who of it may enrol a first second factor (self, contact,\n" +
		"invited) instead of what the site says. Accounts that name no organisation belong to `default`."
	configFlags(cmd)
	group(cmd)
	add := leaf("add NAME", "Makes an organisation", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		return changeOrganisation(c, operation.OrganisationAdd, args[0], "added organisation %s")
	})
	edit := leaf("edit NAME", "Changes the rules of an organisation", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		if !c.Flags().Changed("require") && !c.Flags().Changed("enrolment") {
			return usagef("nothing to change: say what is required with --require LEVEL, or --require \"\" for nothing, or who enrols with --enrolment")
		}
		return changeOrganisation(c, operation.OrganisationEdit, args[0], "changed organisation %s")
	})
	for _, c := range []*cobra.Command{add, edit} {
		c.Flags().String("require", "", "a built-in `level` that its accounts need everywhere; \"\" for none")
		c.Flags().String("enrolment", "", "who may enrol a first second factor: self, contact or invited; \"\" for the site's `rule`")
	}
	remove := leaf("delete NAME", "Deletes an organisation without accounts", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		return changeOrganisation(c, operation.OrganisationDelete, args[0], "deleted organisation %s")
	})
	for _, c := range []*cobra.Command{add, edit, remove} {
		reasonFlag(c)
	}
	cmd.AddCommand(add, leaf("list", "Lists organisations", cobra.NoArgs, listOrganisations), edit, remove)
}

func changeOrganisation(c *cobra.Command, op operation.Of[operation.OrganisationInput, operation.OrganisationView], name, done string) error {
	in := operation.OrganisationInput{Name: name, Reason: flagText(c, "reason")}
	for flag, rule := range map[string]**string{"require": &in.Require, "enrolment": &in.Enrolment} {
		if c.Flags().Changed(flag) {
			*rule = new(flagText(c, flag))
		}
	}
	return atDesk(c, func(d *desk) error {
		o, err := ask(c.Context(), d, op, in)
		if err != nil {
			return err
		}
		return newPrinter(c).print(o, done, o.Name)
	})
}

func listOrganisations(c *cobra.Command, _ []string) error {
	return atDesk(c, func(d *desk) error {
		all, err := ask(c.Context(), d, operation.OrganisationList, struct{}{})
		if err != nil {
			return err
		}
		p := newPrinter(c)
		rows := [][]string{{"NAME", "REQUIRES", "ENROLMENT"}}
		for _, o := range all {
			if p.json {
				if err := p.object(o); err != nil {
					return err
				}
			}
			rows = append(rows, []string{o.Name, orDash(o.Require), orDash(o.Enrolment)})
		}
		if p.json {
			return nil
		}
		return p.table(rows)
	})
}

// reasonFlag lets an operator say why; it is kept in the audit trail.
func reasonFlag(c *cobra.Command) {
	c.Flags().String("reason", "", "why, or a ticket; kept in the audit trail as `text`")
}

func flagText(c *cobra.Command, name string) string {
	text, _ := c.Flags().GetString(name)
	return text
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
