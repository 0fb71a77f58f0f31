package command

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// buildDemo makes the command that shows the gateway at work. It ends by
// Ctrl-C; a second one ends it at once.
func buildDemo(cmd *cobra.Command) {
	made := leaf("demo", cmd.Short, cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		go func() {
			<-ctx.Done()
			stop()
		}()
		return RunDemo(ctx, DemoOptions{
			Listen: flagText(c, "listen"), Data: flagText(c, "data"), Out: c.OutOrStdout(), Command: c.Parent().CommandPath(),
		})
	})
	cmd.Args, cmd.RunE, cmd.DisableFlagsInUseLine = made.Args, made.RunE, true
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return fail(c, usagef("%s", err)) })
	cmd.Flags().String("listen", "", "the `address` to listen on; default 127.0.0.1:8080, or the next port that is free")
	cmd.Flags().String("data", "", "a `folder` for configuration and store, which is kept; default one that is removed at the end")
	cmd.Long = "Starts the gateway in front of a small legacy portal, all in this process and on\n" +
		"this machine, with accounts to try it with. Ctrl-C stops it."
}
