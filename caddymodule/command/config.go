package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/policy/author"
)

// Module is what the commands ask of the module that they belong to: how it
// reads configurations. All take a file's name, for messages, and what is in
// it as JSON.
type Module struct {
	// Adapt adapts a configuration as `validate` does, but for the assertions
	// of its policies: whoever asks why one does not hold must get an answer.
	Adapt func(adapter caddyconfig.Adapter, raw []byte, file string) ([]byte, error)
	// Load reads the app of a configuration, or its defaults where there is
	// none; whole is all of it, for what sites say. It opens nothing.
	Load func(file string, app json.RawMessage, whole []byte) (*Configuration, error)
	// Draw provisions a configuration as `validate` does, but for assertions
	// again. The process is expected to end soon: nothing is cleaned up.
	Draw func(file string, raw []byte) (Drawing, error)
	// Store finds a store by its address: the path of a SQLite file, or a
	// postgres URL. It opens nothing.
	Store func(address string) (StoreAddress, error)
}

// StoreAddress is a store that a command names.
type StoreAddress interface {
	// Name is what Configuration has as Store.
	Name() string
	// CopyTo copies it, and calls progress for every table that was copied
	// and compared.
	CopyTo(ctx context.Context, to StoreAddress, progress func(table string, rows int64)) error
}

// Configuration is the app as the configuration has it.
type Configuration struct {
	// Store is the store's name without its secrets.
	Store string
	// Open opens the store, outside of a running gateway, until close.
	Open func(ctx context.Context, mayCreate bool) (place operation.Place, close func() error, err error)

	// admin is the address of the admin endpoint, empty where it is off.
	admin string
}

// Drawing is a configuration with its gates provisioned, by the code that a
// running gateway has them from. No store, key or listener was opened.
type Drawing interface {
	// Sites are its gates, in written order; at least one.
	Sites() []*author.Site
	// ReportOnly are the same with the policy that is watched and not
	// enforced; nil where a gate has none.
	ReportOnly() []*author.Site
	// Lint looks at the policies of all gates and at what is around them.
	Lint() ([]author.Finding, error)
	// Upstreams are the addresses of the applications behind the gates, each
	// once.
	Upstreams() ([]string, error)
	// Limits are those of its sessions.
	Limits() author.Limits
	// RiskScale is what visits are scored by; nil where no policy asks how
	// unusual they are.
	RiskScale() *operation.RiskView
}

// module is set once, before main.
var module Module

// Use lets the commands work with a module.
func Use(m Module) { module = m }

// configFlags adds the flags that every command takes.
func configFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringP("config", "c", "Caddyfile", "the gateway's configuration file")
	flags.StringP("adapter", "a", "", "the adapter that reads it; default by the file's name")
	flags.Bool("json", false, "print one JSON object a line")
}

// loadConfiguration reads the file that the flags name. It opens no store.
func loadConfiguration(cmd *cobra.Command) (*Configuration, error) {
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
	loaded, err := module.Load(file, config.AppsRaw["stepgate"], raw)
	if err != nil {
		return nil, err
	}
	loaded.admin = adminAddress(config.Admin)
	return loaded, nil
}

// heapGoal is how much memory a command that draws configurations does with,
// where that is possible: above it, what is garbage is looked for more often.
const heapGoal = 350 << 20

// drawAll draws configuration files. All are adapted before the first is
// drawn: a large one takes as much memory for adapting as for all that follows.
func drawAll(adapter string, files ...string) ([]Drawing, error) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapGoal)
	}
	var raw [][]byte
	for _, file := range files {
		adapted, err := adaptFile(file, adapter)
		if err != nil {
			return nil, err
		}
		raw = append(raw, adapted)
	}
	var drawn []Drawing
	for i, file := range files {
		d, err := module.Draw(file, raw[i])
		if err != nil {
			return nil, err
		}
		raw[i] = nil
		drawn = append(drawn, d)
	}
	return drawn, nil
}

// drawConfigured draws the file that the flags name.
func drawConfigured(cmd *cobra.Command) (Drawing, error) {
	drawn, err := drawAll(flagText(cmd, "adapter"), flagText(cmd, "config"))
	if err != nil {
		return nil, err
	}
	return drawn[0], nil
}

// adaptFile gives the configuration as JSON. Errors of the Caddyfile name
// file and line themselves.
func adaptFile(file, adapter string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration file %s: name it with --config", file)
	}
	if info, statErr := os.Stat(file); statErr == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory: name a configuration file, such as %s", file, filepath.Join(file, "Caddyfile"))
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, fmt.Errorf("%s is empty", file)
	}
	if adapter == "" && (IsCaddyfile(file) || nameless(file) && !json.Valid(raw)) {
		adapter = "caddyfile"
	}
	if adapter == "" {
		if !json.Valid(raw) {
			return nil, fmt.Errorf("%s: neither JSON nor, by its name, a Caddyfile; of another name that is read with --adapter caddyfile", file)
		}
		return raw, nil
	}
	adapt := caddyconfig.GetAdapter(adapter)
	if adapt == nil {
		return nil, usagef("there is no configuration adapter %q", adapter)
	}
	return module.Adapt(adapt, raw, file)
}

// nameless tells whether file is a pipe, as a shell's <(git show main:Caddyfile)
// is, whose name says nothing of what comes through it.
func nameless(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

// IsCaddyfile goes by the name, as Caddy does.
func IsCaddyfile(file string) bool {
	base := strings.ToLower(filepath.Base(file))
	return filepath.Ext(base) != ".json" && (strings.HasPrefix(base, "caddyfile") || strings.HasSuffix(base, ".caddyfile"))
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
