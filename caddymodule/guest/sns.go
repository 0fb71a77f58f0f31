package guest

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/delivery/sns"
)

func init() {
	caddy.RegisterModule(new(SMSSNS))
}

// SMSSNS sends texts by Amazon SNS.
type SMSSNS struct {
	// Region is AWS's name of it ("eu-west-2"). Needed.
	Region string `json:"region,omitempty"`
	// SenderID is what phones show as the sender, up to 11 letters and
	// digits. Default: the AWS account's.
	SenderID string `json:"sender_id,omitempty"`
	// MaxPrice is the most that one message may cost, in US dollars.
	// Default: the AWS account's limit.
	MaxPrice string `json:"max_price,omitempty"`
	// Endpoint replaces the region's address. Default: none.
	Endpoint string `json:"endpoint,omitempty"`
	// AccessKey and SecretKey are credentials. Default: those that the AWS
	// SDK finds (environment, shared files, the machine's role).
	AccessKey string `json:"access_key,omitempty"`
	SecretKey string `json:"secret_key,omitempty"`

	delivery.Sender `json:"-"`
}

// CaddyModule implements caddy.Module.
func (*SMSSNS) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sms.sns", New: func() caddy.Module { return new(SMSSNS) }}
}

// UnmarshalCaddyfile reads:
//
//	sns {
//		region REGION
//		sender_id NAME
//		max_price DOLLARS
//		endpoint URL
//		access_key KEY
//		secret_key SECRET
//	}
func (g *SMSSNS) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // sns
	if err := block.NoMore(d); err != nil {
		return err
	}
	err := block.Block{Name: "sms sns", Options: map[string]func(*caddyfile.Dispenser) error{
		"region": block.OneWord(&g.Region), "sender_id": block.OneWord(&g.SenderID), "max_price": block.OneWord(&g.MaxPrice),
		"endpoint": block.OneWord(&g.Endpoint), "access_key": block.OneWord(&g.AccessKey), "secret_key": block.OneWord(&g.SecretKey),
	}}.Parse(d)
	if err != nil {
		return err
	}
	_, err = sns.New(g.options())
	return block.RefusedAt(d, "sms sns", err, g.Region, g.SenderID, g.MaxPrice, g.Endpoint)
}

func (g *SMSSNS) options() sns.Options {
	return sns.Options{
		Region: g.Region, SenderID: g.SenderID, MaxPrice: g.MaxPrice, Endpoint: g.Endpoint, AccessKey: g.AccessKey, SecretKey: g.SecretKey,
	}
}

// Provision resolves placeholders.
func (g *SMSSNS) Provision(caddy.Context) error {
	err := block.Secrets(&g.Region, &g.SenderID, &g.MaxPrice, &g.Endpoint, &g.AccessKey, &g.SecretKey)
	if err == nil {
		g.Sender, err = sns.New(g.options())
	}
	if err != nil {
		return fmt.Errorf("sns: %w", err)
	}
	return nil
}

// Interface guards.
var (
	_ delivery.Sender       = (*SMSSNS)(nil)
	_ caddy.Provisioner     = (*SMSSNS)(nil)
	_ caddyfile.Unmarshaler = (*SMSSNS)(nil)
)
