package command

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/operation"
)

// buildKeys draws
//
//	keys list
//	keys rotate [--prepare] [--reason TEXT] [--file FILE]
//	keys retire [KEY] [--reason TEXT] [--file FILE]
//	keys create FILE
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
	rotate.Flags().String("file", "", "change this file alone, a copy of what a vault holds")
	retire := leaf("retire [KEY]", "Takes out older keys that nothing needs", cobra.MaximumNArgs(1), retireKeys)
	retire.Long = "Seals again what lasts, verifies the audit trail without the key, and takes the key out of the store and\n" +
		"of the key file: KEY, or all older keys that nothing needs. `keys list` says what needs them. Copy the key\n" +
		"file to every node afterwards and reload each. Keep the old file with the backups, exports and checkpoints of its\n" +
		"time: they need it. Where a vault holds the keys, then `keys retire KEY --file FILE` on a copy of its text."
	reasonFlag(retire)
	retire.Flags().String("file", "", "change this file alone, a copy of what a vault holds")
	create := leaf("create FILE", "Makes a key file for a new store, for a vault to hold", cobra.ExactArgs(1), createKeys)
	create.Long = "Makes a key file with one key. A store makes its own where `key_file` names a path; where it says\n" +
		"`env` or `command`, put the text of this file there, and remove the file."
	cmd.AddCommand(create, leaf("list", "Lists the keys, oldest first", cobra.NoArgs, listKeys), rotate, retire)
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
	if file := flagText(c, "file"); file != "" {
		return rotateFile(c, file, prepare)
	}
	return atDesk(c, func(d *desk) error {
		list, err := ask(c.Context(), d, operation.KeysRotate, operation.KeysRotateInput{Prepare: prepare, Reason: flagText(c, "reason")})
		if err != nil {
			return err
		}
		return printKeys(c, list)
	})
}

// rotateFile changes a file that no gateway reads. The gateway hears of its keys
// when it is reloaded.
func rotateFile(c *cobra.Command, file string, prepare bool) error {
	ring, err := keys.Load(file)
	if err != nil {
		return err
	}
	change := ring.Rotate
	if prepare {
		change = ring.Prepare
	}
	if _, err := change(file, time.Now()); err != nil {
		return err
	}
	return printKeys(c, operation.ViewKeys(ring.List()))
}

func retireKeys(c *cobra.Command, args []string) error {
	var key string
	if len(args) > 0 {
		key = args[0]
	}
	if file := flagText(c, "file"); file != "" {
		return retireInFile(c, file, args)
	}
	return atDesk(c, func(d *desk) error {
		list, err := ask(c.Context(), d, operation.KeysRetire, operation.KeysRetireInput{ID: key, Reason: flagText(c, "reason")})
		if err != nil {
			return err
		}
		return printKeys(c, list)
	})
}

// retireInFile changes a file that no gateway reads. A gateway that is given it
// before its store has retired the key does not start.
func retireInFile(c *cobra.Command, file string, ids []string) error {
	if len(ids) == 0 {
		return usagef("keys retire --file FILE: expected a key, as `keys list` names it")
	}
	ring, err := keys.Load(file)
	if err != nil {
		return err
	}
	if err := ring.Retire(file, ids); err != nil {
		return err
	}
	return printKeys(c, operation.ViewKeys(ring.List()))
}

func createKeys(c *cobra.Command, args []string) error {
	ring, err := keys.Create(args[0], time.Now())
	if err != nil {
		return err
	}
	return printKeys(c, operation.ViewKeys(ring.List()))
}

func printKeys(c *cobra.Command, list []operation.KeyView) error {
	p := newPrinter(c)
	rows := [][]string{{"KEY", "MADE", "STATE"}}
	if slices.ContainsFunc(list, func(k operation.KeyView) bool { return len(k.NeededFor) > 0 }) {
		rows[0] = append(rows[0], "NEEDED FOR")
	}
	for _, k := range list {
		if p.json {
			if err := p.object(k); err != nil {
				return err
			}
		}
		rows = append(rows, []string{k.ID, k.Created.Format(time.DateTime + " UTC"), k.State, operation.NeedsText(k.NeededFor)})
	}
	if p.json {
		return nil
	}
	return p.table(rows)
}
