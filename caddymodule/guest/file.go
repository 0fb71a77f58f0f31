package guest

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/delivery/file"
)

func init() {
	caddy.RegisterModule(new(SMSFile))
	caddy.RegisterModule(new(EmailFile))
}

// messageFile is what the two providers that write to a file have in common.
type messageFile struct {
	// Path of the file, one JSON object a line. Needed.
	Path string `json:"path,omitempty"`

	delivery.Sender `json:"-"`
}

// UnmarshalCaddyfile reads:
//
//	file PATH
func (g *messageFile) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // file
	return block.Path(&g.Path)(d)
}

// Provision resolves placeholders. It does not open the file.
func (g *messageFile) Provision(caddy.Context) error {
	if err := block.Secrets(&g.Path); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if g.Path == "" {
		return fmt.Errorf("file: expected a path")
	}
	g.Sender = &file.Sender{Path: g.Path}
	return nil
}

// SMSFile writes texts to a file in place of sending them, for demonstrations
// and tests.
type SMSFile struct{ messageFile }

// CaddyModule implements caddy.Module.
func (*SMSFile) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sms.file", New: func() caddy.Module { return new(SMSFile) }}
}

// EmailFile writes e-mails to a file in place of sending them, for
// demonstrations and tests.
type EmailFile struct{ messageFile }

// CaddyModule implements caddy.Module.
func (*EmailFile) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.email.file", New: func() caddy.Module { return new(EmailFile) }}
}

// Interface guards.
var (
	_ delivery.Sender       = (*SMSFile)(nil)
	_ delivery.Sender       = (*EmailFile)(nil)
	_ caddy.Provisioner     = (*EmailFile)(nil)
	_ caddyfile.Unmarshaler = (*EmailFile)(nil)
)
