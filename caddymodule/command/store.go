package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/operation"
)

// buildStore draws
//
//	store copy FROM TO
//	store restored [--reason TEXT]
func buildStore(cmd *cobra.Command) {
	configFlags(cmd)
	group(cmd)
	restored := leaf("restored", "Makes a store that was restored from a backup safe to use", cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		return atDesk(c, func(d *desk) error {
			done, err := ask(c.Context(), d, operation.StoreRestored, operation.RestoredInput{Reason: flagText(c, "reason")})
			if err != nil {
				return err
			}
			return newPrinter(c).print(done, "everybody is signed out; backup codes and temporary codes are void (%s)", number(done.CodeLists, "list"))
		})
	})
	restored.Long = "A backup does not know which codes were spent after it was made, and which sessions were\n" +
		"ended. A gateway that has used the store before sees by itself that it was restored; where\n" +
		"the store comes back on a new machine, say so. Everybody signs in again; backup codes,\n" +
		"temporary codes, codes under way and kept requests are void."
	reasonFlag(restored)
	copying := leaf("copy FROM TO", "Copies a store into a new one, and compares the two", cobra.ExactArgs(2), copyStore)
	copying.Long = "FROM and TO are the path of a SQLite file, or postgres://USER@HOST/DATABASE; placeholders such as\n" +
		"{env.STEPGATE_DSN} keep a password off the command line. Stop the gateways that use FROM first.\n" +
		"A copy that was interrupted goes on where it ended when the command is given again, and no gateway starts\n" +
		"on TO before it is finished. Both stores are of one key file: keep it, and name it with key_file."
	cmd.AddCommand(copying, restored)
}

// copiedView is a table as `store copy` reports it.
type copiedView struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

func copyStore(c *cobra.Command, args []string) error {
	from, err := module.Store(args[0])
	if err != nil {
		return usagef("FROM: %s", err)
	}
	to, err := module.Store(args[1])
	if err != nil {
		return usagef("TO: %s", err)
	}
	if from.Name() == to.Name() {
		return usagef("FROM and TO are one store")
	}
	if err := notRunning(c, from, to); err != nil {
		return err
	}
	p := newPrinter(c)
	var all int64
	err = from.CopyTo(c.Context(), to, func(table string, rows int64) {
		all += rows
		if p.json {
			p.object(copiedView{table, rows})
		}
	})
	if err != nil || p.json {
		return err
	}
	return p.print(nil, "copied %s, and compared them one by one; use the key file of %s with %s", number(all, "row"), from.Name(), to.Name())
}

// notRunning refuses to copy the store of the gateway that the configuration
// names, while that runs. Without a configuration it is the operator who knows.
func notRunning(c *cobra.Command, stores ...StoreAddress) error {
	config, err := loadConfiguration(c)
	if err != nil || config.admin == "" {
		return nil
	}
	for _, s := range stores {
		if s.Name() != config.Store {
			continue
		}
		g, err := newGateway(config.admin, config.Store)
		if err != nil {
			return err
		}
		if g.answers(c.Context()) {
			return fmt.Errorf("a gateway runs with %s: stop it, copy, and start it again", s.Name())
		}
	}
	return nil
}
