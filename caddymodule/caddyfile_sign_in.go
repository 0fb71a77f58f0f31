package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/challenge"
)

// parseSignIn reads `sign_in SOURCE …`. What follows the source's name is for
// its module, but for the domains of the names that it is for:
//
//	sign_in SOURCE … [for @DOMAIN…] {
//		for @DOMAIN…
//		…
//	}
func (h *Handler) parseSignIn(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("sign_in: expected the name of a sign-in source, such as local")
	}
	name := d.Val()
	id := "stepgate.sign_in." + name
	info, err := caddy.GetModule(id)
	if err != nil {
		return block.UnknownModule(d, "sign_in", name, "stepgate.sign_in")
	}
	module, ok := info.New().(interface {
		source.Module
		caddyfile.Unmarshaler
	})
	if !ok {
		return d.Errf("sign_in %s: this source cannot be written in a Caddyfile", name)
	}
	segment, domains, err := takeDomains(d.NextSegment())
	if err != nil {
		return err
	}
	if err := module.UnmarshalCaddyfile(caddyfile.NewDispenser(segment)); err != nil {
		return err
	}
	if len(domains) > 0 {
		if h.SignInFor == nil {
			h.SignInFor = map[string][]string{}
		}
		h.SignInFor[module.Name()] = domains
	}
	h.sources = append(h.sources, module)
	h.SignIn = append(h.SignIn, caddyconfig.JSONModuleObject(module, "source", name, nil))
	return nil
}

// takeDomains takes `for @DOMAIN…` out of a source's lines, at the end of the
// first or on one of its own.
func takeDomains(segment caddyfile.Segment) (rest caddyfile.Segment, domains []string, err error) {
	d, depth := caddyfile.NewDispenser(segment), 0
	take := func(words []caddyfile.Token) error {
		if domains != nil {
			return d.Err("for: stands here twice")
		}
		for _, word := range words {
			domain, ok := strings.CutPrefix(word.Text, "@")
			if !ok || domain == "" || strings.ContainsAny(domain, "@/: ") {
				return d.Errf("for: `%s`: expected the domains of names, as in `for @council.gov`", word.Text)
			}
			domains = append(domains, challenge.DomainOf(word.Text))
		}
		if domains == nil {
			return d.Err("for: expected the domains of names, as in `for @council.gov`")
		}
		return nil
	}
	for d.Next() {
		line := caddyfile.Segment{d.Token()}
		for d.NextArg() {
			line = append(line, d.Token())
		}
		at := -1
		switch {
		case len(rest) == 0:
			at = slices.IndexFunc(line, func(t caddyfile.Token) bool { return t.Text == "for" })
		case depth == 1 && line[0].Text == "for":
			at = 0
		}
		if at >= 0 {
			if err := take(line[at+1:]); err != nil {
				return nil, nil, err
			}
			line = line[:at]
		}
		for _, token := range line {
			switch token.Text {
			case "{":
				depth++
			case "}":
				depth--
			}
		}
		rest = append(rest, line...)
	}
	if n := len(rest); n > 2 && rest[n-2].Text == "{" && rest[n-1].Text == "}" {
		rest = rest[:n-2] // nothing else was in it
	}
	return rest, domains, nil
}

// checkDomains tells what is wrong with `for`, and folds the domains of a
// configuration that was not made from a Caddyfile.
func (c *SiteConfig) checkDomains(sources []source.Module) error {
	owner := map[string]string{}
	for name, domains := range c.SignInFor {
		at := slices.IndexFunc(sources, func(m source.Module) bool { return m.Name() == name })
		if at < 0 {
			return fmt.Errorf("sign_in_for: the site has no source %s", name)
		}
		if named, ok := sources[at].(source.NameKeyed); ok && named.SubjectIsName() {
			return fmt.Errorf("sign_in %s: for: nobody types a name here to be let in by it", name)
		}
		for i, written := range domains {
			domain := challenge.DomainOf("@" + strings.TrimPrefix(written, "@"))
			domains[i] = domain
			if other := owner[domain]; other != "" {
				return fmt.Errorf("sign_in: for @%s: of both %s and %s; a name leads to one source", domain, min(other, name), max(other, name))
			}
			owner[domain] = name
		}
	}
	return nil
}
