package guest

import (
	"crypto/x509"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/delivery/smtp"
	"github.com/stepgate/stepgate/internal/signin"
)

func init() {
	caddy.RegisterModule(new(EmailSMTP))
}

// EmailSMTP sends e-mail by a mail server.
type EmailSMTP struct {
	// Server is HOST:PORT. Needed.
	Server string `json:"server,omitempty"`
	// From is what every message is from. Needed.
	From string `json:"from,omitempty"`
	// Username and Password sign in at the server. Default: without.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	// TLS is starttls, implicit or none-on-loopback. Default: starttls; on
	// the loopback, what the server offers.
	TLS string `json:"tls,omitempty"`
	// HELO is how the gateway calls itself to the server. Default: the host
	// of the site's origin.
	HELO string `json:"helo,omitempty"`
	// CAFile is a PEM file with the roots that verify the server's
	// certificate. Default: the system's roots.
	CAFile string `json:"ca_file,omitempty"`

	delivery.Sender `json:"-"`
	introduce       func(host string)
}

// CaddyModule implements caddy.Module.
func (*EmailSMTP) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.email.smtp", New: func() caddy.Module { return new(EmailSMTP) }}
}

// UnmarshalCaddyfile reads:
//
//	smtp HOST:PORT {
//		from ADDRESS
//		username NAME
//		password SECRET
//		tls starttls | implicit | none-on-loopback
//		helo NAME
//		ca_file PATH
//	}
func (g *EmailSMTP) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // smtp
	if !d.NextArg() {
		return d.Err("email smtp: expected host and port of a mail server, such as mail.example.gov:587")
	}
	g.Server = d.Val()
	if err := block.NoMore(d); err != nil {
		return err
	}
	err := block.Block{Name: "email smtp", Options: map[string]func(*caddyfile.Dispenser) error{
		"from": block.OneWord(&g.From), "username": block.OneWord(&g.Username), "password": block.OneWord(&g.Password), "ca_file": block.Path(&g.CAFile), "helo": block.OneWord(&g.HELO),
		"tls": block.OneOf(&g.TLS, string(smtp.StartTLS), string(smtp.Implicit), string(smtp.None)),
	}}.Parse(d)
	if err != nil {
		return err
	}
	_, err = smtp.New(g.options(nil))
	return block.RefusedAt(d, "email smtp", err, g.Server, g.From)
}

func (g *EmailSMTP) options(roots *x509.CertPool) smtp.Options {
	return smtp.Options{Server: g.Server, From: g.From, Username: g.Username, Password: g.Password, TLS: smtp.TLS(g.TLS), HELO: g.HELO, Roots: roots}
}

// Provision resolves placeholders and reads the roots.
func (g *EmailSMTP) Provision(caddy.Context) error {
	err := block.Secrets(&g.Server, &g.From, &g.Username, &g.Password, &g.HELO, &g.CAFile)
	if err != nil {
		return fmt.Errorf("smtp: %w", err)
	}
	config, err := signin.TLS(g.CAFile)
	if err != nil {
		return fmt.Errorf("smtp: %w", err)
	}
	sender, err := smtp.New(g.options(config.RootCAs))
	if err != nil {
		return fmt.Errorf("smtp: %w", err)
	}
	g.Sender, g.introduce = sender, sender.Introduce
	return nil
}

// Introduce tells the provider the host of the site that it sends for.
func (g *EmailSMTP) Introduce(host string) { g.introduce(host) }

// Interface guards.
var (
	_ delivery.Sender       = (*EmailSMTP)(nil)
	_ caddy.Provisioner     = (*EmailSMTP)(nil)
	_ caddyfile.Unmarshaler = (*EmailSMTP)(nil)
)
