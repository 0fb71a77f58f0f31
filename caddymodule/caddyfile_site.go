package caddymodule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// parseSite reads the directive:
//
//	stepgate {
//		origin ORIGIN
//		prefix PATH
//		sign_in SOURCE …
//		enrolment self|contact|invited
//		binding_delay SPAN
//		after_enrolment continue|sign_out
//		policy [report_only] { … }
//		identity_headers { NAME PLACEHOLDER … }
//		keep_requests SIZE|off
//		audience TEXT
//		relying_party ID [NAME]
//		pages {
//			name TEXT
//			help TEXT
//			language TAG…
//		}
//		scripts GLOB…
//		pass_url_overrides
//		keep_stream
//		inject_step_up [early]
//		admin_pages
//	}
func parseSite(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	handler := new(Handler)
	d := h.Dispenser
	d.Next() // the directive's own word
	handler.Source = block.Position(d).String()
	handler.Copy = countCopies(h.State, handler.Source)
	if d.NextArg() {
		return nil, d.Errf("stepgate takes no matcher and no arguments, but there is `%s`: it must see every request of its site; write paths into its policy", d.Val())
	}
	var scripts []string
	b := block.Block{Name: "stepgate", Repeated: []string{"sign_in", "policy"}, Options: map[string]func(*caddyfile.Dispenser) error{
		"origin":             block.Checked(&handler.Origin, func(origin string) error { return checkOrigin(strings.TrimSuffix(origin, "/")) }),
		"prefix":             block.Checked(&handler.Prefix, checkPrefix),
		"sign_in":            handler.parseSignIn,
		"sign_in_at":         block.Checked(&handler.SignInAt, func(origin string) error { return checkOrigin(strings.TrimSuffix(origin, "/")) }),
		"enrolment":          block.OneOf(&handler.Enrolment, enrolmentWords...),
		"binding_delay":      handler.parseBindingDelay,
		"after_enrolment":    block.OneOf(&handler.AfterEnrolment, afterEnrolmentWords...),
		"policy":             handler.parsePolicyBlock,
		"identity_headers":   handler.parseIdentityHeaders,
		"keep_requests":      keepRequests(&handler.KeepRequests),
		"audience":           block.OneWord(&handler.Audience),
		"relying_party":      handler.parseRelyingParty,
		"pages":              handler.parsePages,
		"scripts":            block.WordList(&scripts),
		"path_charset":       block.Checked(&handler.PathCharset, target.CheckCharset),
		"pass_url_overrides": block.Flag(&handler.PassURLOverrides),
		"keep_stream":        block.Flag(&handler.KeepStream),
		"inject_step_up":     handler.parseInject,
		"admin_pages":        block.Flag(&handler.AdminPages),
	}}
	if err := b.Parse(d); err != nil {
		return nil, err
	}
	if scripts != nil {
		if handler.Policy == nil {
			handler.Policy = new(policy.Config)
		}
		handler.Policy.Scripts = append(handler.Policy.Scripts, scripts...)
	}
	handler.Origin, handler.SignInAt = strings.TrimSuffix(handler.Origin, "/"), strings.TrimSuffix(handler.SignInAt, "/")
	if err := handler.checkPolicies(); err != nil {
		return nil, err
	}
	if err := handler.checkSources(handler.sources); err != nil {
		return nil, fmt.Errorf("%s: %w", handler.Source, err)
	}
	if handler.SignInAt != "" && len(handler.SignIn) > 0 {
		return nil, d.Err("stepgate: sign_in_at stands alone: the site that it names signs people in")
	}
	return h.NewRoute(nil, handler), nil
}

// countCopies says how many gates came from the same lines before, which only
// `import` makes possible.
func countCopies(state map[string]any, source string) int {
	key := "stepgate at " + source
	before, _ := state[key].(int)
	state[key] = before + 1
	return before
}

// parseBindingDelay takes 0s as well: it says that there is no wait.
func (h *SiteConfig) parseBindingDelay(d *caddyfile.Dispenser) error {
	var text string
	if err := block.OneWord(&text)(d); err != nil {
		return err
	}
	span, err := caddy.ParseDuration(text)
	if err != nil || span < 0 {
		return d.Errf("binding_delay: `%s`: expected a length of time with its unit, such as 24h", text)
	}
	h.BindingDelay = new(caddy.Duration(span))
	return nil
}

func (h *SiteConfig) parseIdentityHeaders(d *caddyfile.Dispenser) error {
	if err := block.NoMore(d); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		header := IdentityHeader{Name: d.Val()}
		if !d.NextArg() {
			return d.Errf("identity_headers %s: expected a placeholder, such as {http.auth.user.id}", header.Name)
		}
		header.Placeholder = d.Val()
		if err := block.NoBlock(d); err != nil {
			return err
		}
		if err := header.check(); err != nil {
			return d.Errf("identity_headers %s: %w", header.Name, err)
		}
		if slices.ContainsFunc(h.IdentityHeaders, func(other IdentityHeader) bool { return strings.EqualFold(other.Name, header.Name) }) {
			return d.Errf("identity_headers: `%s` is there twice", header.Name)
		}
		h.IdentityHeaders = append(h.IdentityHeaders, header)
	}
	return nil
}

func (h *SiteConfig) parseRelyingParty(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return d.Err("relying_party: expected an ID and perhaps a name, as in `relying_party portal.example.gov \"The Portal\"`")
	}
	h.RelyingParty = &RelyingPartyConfig{ID: args[0]}
	if len(args) == 2 {
		h.RelyingParty.Name = args[1]
	}
	return block.NoBlock(d)
}

func (h *SiteConfig) parsePages(d *caddyfile.Dispenser) error {
	if err := block.NoMore(d); err != nil {
		return err
	}
	h.Pages = new(PagesConfig)
	var said caddyfile.Dispenser
	err := block.Block{Name: "pages", Options: map[string]func(*caddyfile.Dispenser) error{
		"name":      block.OneWord(&h.Pages.Name),
		"help":      block.OneWord(&h.Pages.Help),
		"language":  languages(&h.Pages.Languages, &said),
		"timezone":  block.Checked(&h.Pages.TimeZone, checkZone),
		"templates": block.Path(&h.Pages.Templates),
	}}.Parse(d)
	if err != nil || h.Pages.Templates != "" {
		return err // an operator's folder may have texts in more languages
	}
	return checkLanguages(&said, h.Pages.Languages, web.Languages())
}

// languages reads those of pages, and keeps where they stand.
func languages(into *[]string, said *caddyfile.Dispenser) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		err := block.WordList(into)(d)
		*said = *d
		return err
	}
}

// checkLanguages tells which of them there are no texts in.
func checkLanguages(d *caddyfile.Dispenser, languages, known []string) error {
	for _, lang := range languages {
		if !slices.Contains(known, lang) {
			return d.Errf("language: `%s`: the pages are in %s", lang, strings.Join(known, " and "))
		}
	}
	return nil
}

func (h *SiteConfig) parsePolicyBlock(d *caddyfile.Dispenser) error {
	into := &h.Policy
	if d.NextArg() {
		if d.Val() != "report_only" {
			return d.Errf("policy: unexpected `%s`; expected a block, or report_only before it", d.Val())
		}
		into = &h.ReportOnly
	}
	if err := block.NoMore(d); err != nil {
		return err
	}
	if *into != nil {
		return d.Err("policy: it is there twice")
	}
	*into = new(policy.Config)
	return parsePolicy(d, *into)
}

// Interface guards.
var (
	_ json.Unmarshaler = (*policy.Duration)(nil)
)
