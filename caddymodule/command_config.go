package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"
)

// configuration is what a command takes from the configuration file: the app
// and where a running gateway listens for commands.
type configuration struct {
	app *App
	// admin is the address of the admin endpoint, empty where it is off.
	admin string
}

// configFlags adds the flags that every command takes.
func configFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringP("config", "c", "Caddyfile", "the gateway's configuration file")
	flags.StringP("adapter", "a", "", "the adapter that reads it; default by the file's name")
	flags.Bool("json", false, "print one JSON object a line")
}

// loadConfiguration reads the file that the flags name. It opens no store.
func loadConfiguration(cmd *cobra.Command) (*configuration, error) {
	file, _ := cmd.Flags().GetString("config")
	adapter, _ := cmd.Flags().GetString("adapter")
	raw, err := adaptFile(file, adapter)
	if err != nil {
		return nil, err
	}
	var config caddy.Config
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("%s: not a Caddy configuration: %w", file, err)
	}
	app, err := readApp(config.AppsRaw["stepgate"])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &configuration{app: app, admin: adminAddress(config.Admin)}, nil
}

// adaptFile gives the configuration as JSON. Errors of the Caddyfile name
// file and line themselves.
func adaptFile(file, adapter string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration file %s: name it with --config", file)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if adapter == "" && isCaddyfile(file) {
		adapter = "caddyfile"
	}
	if adapter == "" {
		return raw, nil
	}
	adapt := caddyconfig.GetAdapter(adapter)
	if adapt == nil {
		return nil, usagef("there is no configuration adapter %q", adapter)
	}
	raw, _, err = adapt.Adapt(raw, map[string]any{"filename": file})
	return raw, err
}

// isCaddyfile goes by the name, as Caddy does.
func isCaddyfile(file string) bool {
	base := strings.ToLower(filepath.Base(file))
	return filepath.Ext(base) != ".json" && (strings.HasPrefix(base, "caddyfile") || strings.HasSuffix(base, ".caddyfile"))
}

// readApp makes the app as Caddy would provision it; a configuration that
// only has the site directive has the app with its defaults.
func readApp(raw json.RawMessage) (*App, error) {
	app := new(App)
	if raw != nil {
		if err := caddy.StrictUnmarshalJSON(raw, app); err != nil {
			return nil, fmt.Errorf("the app stepgate: %w", err)
		}
	}
	app.setDefaults()
	if err := app.expandSecrets(); err != nil {
		return nil, err
	}
	return app, app.Validate()
}

func adminAddress(admin *caddy.AdminConfig) string {
	switch {
	case admin != nil && admin.Disabled:
		return ""
	case admin == nil || admin.Listen == "":
		return caddy.DefaultAdminListen
	default:
		return caddy.NewReplacer().ReplaceAll(admin.Listen, "")
	}
}
