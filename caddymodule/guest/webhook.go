package guest

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/delivery/webhook"
)

func init() {
	caddy.RegisterModule(new(SMSWebhook))
}

// SMSWebhook sends texts by a POST to an address of the operator's.
type SMSWebhook struct {
	// URL is posted to: https, or http on the loopback. Needed.
	URL string `json:"url,omitempty"`
	// Header is added to each request.
	Header http.Header `json:"header,omitempty"`
	// Body is the JSON that is posted, with {to}, {body}, {id} and {channel}
	// inside its strings. Default: an object with all of them.
	Body string `json:"body,omitempty"`
	// Secret signs requests (HMAC-SHA-256). Default: none is signed.
	Secret string `json:"secret,omitempty"`

	delivery.Sender `json:"-"`
}

// CaddyModule implements caddy.Module.
func (*SMSWebhook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sms.webhook", New: func() caddy.Module { return new(SMSWebhook) }}
}

// UnmarshalCaddyfile reads:
//
//	webhook URL {
//		header NAME VALUE
//		body JSON
//		secret SECRET
//	}
func (g *SMSWebhook) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // webhook
	if !d.NextArg() {
		return d.Err("sms webhook: expected an address, such as https://sms.example.net/send")
	}
	g.URL = d.Val()
	if err := block.NoMore(d); err != nil {
		return err
	}
	err := block.Block{Name: "sms webhook", Repeated: []string{"header"}, Options: map[string]func(*caddyfile.Dispenser) error{
		"header": g.parseHeader, "body": block.OneWord(&g.Body), "secret": block.OneWord(&g.Secret),
	}}.Parse(d)
	if err != nil {
		return err
	}
	_, err = webhook.New(g.options())
	return block.RefusedAt(d, "sms webhook", err, g.URL)
}

func (g *SMSWebhook) parseHeader(d *caddyfile.Dispenser) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return d.Err("header: expected a name and a value")
	}
	if g.Header == nil {
		g.Header = http.Header{}
	}
	g.Header.Add(name, value)
	return block.NoBlock(d)
}

func (g *SMSWebhook) options() webhook.Options {
	return webhook.Options{URL: g.URL, Header: g.Header, Body: g.Body, Secret: []byte(g.Secret)}
}

// Provision resolves placeholders; those of the body belong to each message.
func (g *SMSWebhook) Provision(caddy.Context) error {
	fields := []*string{&g.URL, &g.Secret}
	for _, values := range g.Header {
		for i := range values {
			fields = append(fields, &values[i])
		}
	}
	err := block.Secrets(fields...)
	if err == nil {
		g.Sender, err = webhook.New(g.options())
	}
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return nil
}

// Interface guards.
var (
	_ delivery.Sender       = (*SMSWebhook)(nil)
	_ caddy.Provisioner     = (*SMSWebhook)(nil)
	_ caddyfile.Unmarshaler = (*SMSWebhook)(nil)
)
