package guest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/oidc"
)

func init() {
	caddy.RegisterModule(new(SignInOIDC))
}

// SignInOIDC is the sign-in source of an OpenID Connect issuer.
type SignInOIDC struct {
	// SourceName tells sources of this kind apart; accounts are keyed by it.
	// Default: oidc.
	SourceName string `json:"name,omitempty"`
	oidc.Config

	made[*oidc.Source]
}

// CaddyModule implements caddy.Module.
func (*SignInOIDC) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sign_in.oidc", New: func() caddy.Module { return new(SignInOIDC) }}
}

// Name implements source.Module.
func (s *SignInOIDC) Name() string { return cmp.Or(s.SourceName, "oidc") }

// UnmarshalCaddyfile implements caddyfile.Unmarshaler:
//
//	sign_in oidc ISSUER {
//		name          NAME
//		label         TEXT
//		client_id     ID
//		client_secret SECRET
//		scopes        SCOPE…
//		claim         username|name|email|mobile|groups CLAIM
//		userinfo
//		acr_values    VALUE…
//		trust_amr     [VALUE FACTOR]
//		require       CLAIM VALUE…
//		overage       URL
//		keep_signed_in
//		ca_file       PATH
//		timeout       DURATION
//		insecure
//	}
func (s *SignInOIDC) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // oidc
	if !d.NextArg() {
		return d.Err("sign_in oidc: expected the issuer's address, as in `sign_in oidc https://login.example.gov`")
	}
	s.Issuer = d.Val()
	if err := block.NoMore(d); err != nil {
		return err
	}
	claims := map[string]*string{
		"username": &s.Claims.Username, "name": &s.Claims.Name, "email": &s.Claims.Email, "mobile": &s.Claims.Mobile, "groups": &s.Claims.Groups,
	}
	options := map[string]func(*caddyfile.Dispenser) error{
		"name":          block.OneWord(&s.SourceName),
		"client_id":     block.OneWord(&s.ClientID),
		"client_secret": block.OneWord(&s.ClientSecret),
		"scopes":        block.WordList(&s.Scopes),
		"claim":         named("claim", claims),
		"userinfo":      block.Flag(&s.UserInfo),
		"acr_values":    block.WordList(&s.ACRValues),
		"require":       s.readRequire,
		"overage":       block.OneWord(&s.Overage),
	}
	maps.Copy(options, provider(&s.Provider))
	err := block.Block{Name: "sign_in oidc", Repeated: []string{"claim", "trust_amr", "require"}, Options: options}.Parse(d)
	if err != nil {
		return err
	}
	return block.RefusedAt(d, "sign_in oidc", s.Check(), s.Issuer, s.ClientID)
}

// readRequire reads `require CLAIM VALUE…`.
func (s *SignInOIDC) readRequire(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	if len(words) < 2 {
		return d.Err("require: expected a claim and the values that let somebody in, as in `require hd example.gov`")
	}
	if s.Require[words[0]] != nil {
		return d.Errf("require %s: stands here twice", words[0])
	}
	if s.Require == nil {
		s.Require = map[string][]string{}
	}
	s.Require[words[0]] = words[1:]
	return block.NoBlock(d)
}

// provider reads what all sources have that send people elsewhere.
func provider(p *signin.Provider) map[string]func(*caddyfile.Dispenser) error {
	return map[string]func(*caddyfile.Dispenser) error{
		"label":          block.OneWord(&p.Label),
		"trust_amr":      trust(&p.Trust),
		"keep_signed_in": block.Flag(&p.KeepSignedIn),
		"ca_file":        block.Path(&p.CAFile),
		"timeout":        span(&p.Timeout),
		"insecure":       block.Flag(&p.Insecure),
	}
}

// trust reads `trust_amr`, which stands for words whose meaning is plain, and
// `trust_amr VALUE FACTOR`.
func trust(into *signin.Trust) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		words := d.RemainingArgs()
		if *into == nil {
			*into = signin.Trust{}
		}
		switch {
		case len(words) == 0:
			for word, factor := range signin.StandardTrust() {
				if (*into)[word] == "" {
					(*into)[word] = factor
				}
			}
			return block.NoBlock(d)
		case len(words) != 2:
			return d.Err("trust_amr: expected nothing, or a value and the factor that it stands for, as in `trust_amr mfa totp`")
		case !slices.Contains(trustable, words[1]):
			return block.Unknown(d, "trust_amr", words[1], trustable)
		}
		(*into)[words[0]] = words[1]
		return block.NoBlock(d)
	}
}

// trustable are the factors that somebody else may have asked for in the
// gateway's stead.
var trustable = []string{"approval", "device_pin", "email", "sms", "totp", "webauthn"}

func sortedKeys(m map[string]*string) []string { return slices.Sorted(maps.Keys(m)) }

// Provision resolves placeholders and reads ca_file. It asks nobody.
func (s *SignInOIDC) Provision(caddy.Context) error {
	if err := block.Secrets(&s.Issuer, &s.ClientID, &s.ClientSecret, &s.CAFile); err != nil {
		return fmt.Errorf("sign_in oidc: %w", err)
	}
	made, err := oidc.New(s.Name(), s.Config)
	return s.take("sign_in oidc", made, err)
}

// Interface guards.
var (
	_ source.Module         = (*SignInOIDC)(nil)
	_ caddy.Provisioner     = (*SignInOIDC)(nil)
	_ caddyfile.Unmarshaler = (*SignInOIDC)(nil)
)
