package command

import (
	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/operation"
)

// buildStore draws
//
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
			return newPrinter(c).print(done, "everybody is signed out; %d lists of backup codes and temporary codes are void", done.CodeLists)
		})
	})
	restored.Long = "A backup does not know which codes were spent after it was made, and which sessions were\n" +
		"ended. A gateway that has used the store before sees by itself that it was restored; where\n" +
		"the store comes back on a new machine, say so. Everybody signs in again; backup codes,\n" +
		"temporary codes, codes under way and kept requests are void."
	reasonFlag(restored)
	cmd.AddCommand(restored)
}
