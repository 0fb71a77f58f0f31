package command

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/operation"
)

// buildKeys draws
//
//	keys list
//	keys rotate [--prepare] [--reason TEXT]
func buildKeys(cmd *cobra.Command) {
	cmd.Long = "The key file holds the keys that seal what the store and the browsers keep. The primary key\n" +
		"writes everything new; the others still open what they wrote, so that a rotation signs nobody out."
	configFlags(cmd)
	group(cmd)
	rotate := leaf("rotate", "Makes another key primary", cobra.NoArgs, rotateKeys)
	rotate.Long = "Makes the prepared key primary, or a new one where none is prepared. Back up the key file\n" +
		"afterwards. With several nodes: `keys rotate --prepare`, copy the key file to every node and\n" +
		"reload each, then `keys rotate`, copy and reload again. So no node meets a key that it does not hold."
	rotate.Flags().Bool("prepare", false, "add a key that writes nothing before the next rotation")
	reasonFlag(rotate)
	cmd.AddCommand(leaf("list", "Lists the keys, oldest first", cobra.NoArgs, listKeys), rotate)
}

func listKeys(c *cobra.Command, _ []string) error {
	return atDesk(c, func(d *desk) error {
		list, err := ask(c.Context(), d, operation.KeysList, struct{}{})
		if err != nil {
			return err
		}
		return printKeys(c, list)
	})
}

func rotateKeys(c *cobra.Command, _ []string) error {
	prepare, _ := c.Flags().GetBool("prepare")
	return atDesk(c, func(d *desk) error {
		list, err := ask(c.Context(), d, operation.KeysRotate, operation.KeysRotateInput{Prepare: prepare, Reason: flagText(c, "reason")})
		if err != nil {
			return err
		}
		return printKeys(c, list)
	})
}

func printKeys(c *cobra.Command, list []operation.KeyView) error {
	p := newPrinter(c)
	rows := [][]string{{"KEY", "MADE", "STATE"}}
	for _, k := range list {
		if p.json {
			if err := p.object(k); err != nil {
				return err
			}
		}
		rows = append(rows, []string{k.ID, k.Created.Format(time.DateTime + " UTC"), k.State})
	}
	if p.json {
		return nil
	}
	return p.table(rows)
}
