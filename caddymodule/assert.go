package caddymodule

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/stepgate/stepgate/internal/gate"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/author"
	"github.com/stepgate/stepgate/policy/target"
)

// checkAsserts holds the policies of a site against the files that their
// `assert` names. The error has every assertion that does not hold, with its
// place and that of the rule that decided.
func (h *Handler) checkAsserts() error {
	var errs []error
	for _, site := range []*author.Site{h.authored(), h.authoredReport()} {
		if site == nil {
			continue
		}
		for i, file := range site.Config.Assert {
			pos := site.Position
			if i < len(site.Config.AssertPos) {
				pos = site.Config.AssertPos[i]
			}
			errs = append(errs, checkAssertFile(site, file, pos))
		}
	}
	return errors.Join(errs...)
}

// assertsAside is set while a command for authors reads a configuration: whoever
// asks why an assertion does not hold must get an answer.
var assertsAside atomic.Bool

// adaptAside adapts a configuration for such a command.
func adaptAside(adapter caddyconfig.Adapter, raw []byte, file string) ([]byte, error) {
	assertsAside.Store(true)
	defer assertsAside.Store(false)
	adapted, _, err := adapter.Adapt(raw, map[string]any{"filename": file})
	return adapted, err
}

// checkAssertsAsRead is checkAsserts where a Caddyfile is read, so that its
// messages come without the names of the modules around the gate. What depends
// on the site's address, which is not known yet, is left to checkAsserts.
func (h *Handler) checkAssertsAsRead(options policy.CompileOptions) error {
	asserted := func(c *policy.Config) bool { return c != nil && len(c.Assert) > 0 }
	if assertsAside.Load() || !asserted(h.Policy) && !asserted(h.ReportOnly) {
		return nil
	}
	read := &Handler{SiteConfig: h.SiteConfig}
	read.Prefix = cmp.Or(read.Prefix, web.DefaultPrefix)
	var err error
	if read.gate.Policy, err = policy.Compile(read.enforced(), options); err != nil {
		return err
	}
	if read.ReportOnly != nil {
		if read.gate.Report, err = policy.Compile(read.ReportOnly, options); err != nil {
			return err
		}
	}
	if read.gate.Reader, err = target.NewReader(target.Options{Scripts: read.enforced().Scripts, Charset: read.PathCharset}); err != nil {
		return err
	}
	return read.checkAsserts()
}

func checkAssertFile(site *author.Site, file string, pos policy.Position) error {
	file, err := caddy.NewReplacer().ReplaceOrErr(file, true, true)
	if err != nil {
		return fmt.Errorf("%s: assert: %w", pos, err)
	}
	in, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: assert: there is no file %s; its name counts from the folder of the file that names it", pos, file)
	}
	if err != nil {
		return fmt.Errorf("%s: assert: %w", pos, err)
	}
	defer in.Close()
	// Positions in a policy have the file's name alone, and so have these.
	list, err := author.ReadAssertions(filepath.Base(file), in)
	errs := []error{err}
	if err == nil && len(list) == 0 {
		return fmt.Errorf("%s: assert: %s has no assertion in it", pos, filepath.Base(file))
	}
	for _, a := range list {
		if site.Origin == "" && (a.Host != "" || site.Describe != nil) {
			continue
		}
		if a.Host != "" {
			if _, err := author.Choose([]*author.Site{site}, a.Host); err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %w", a.File, a.Line, err))
				continue
			}
		}
		verdict, err := a.Check(site)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !verdict.Holds:
			errs = append(errs, verdict)
		}
	}
	return errors.Join(errs...)
}

// enforced is the policy that holds: the one that is written, or what stands
// for it.
func (h *Handler) enforced() *policy.Config {
	switch {
	case h.Policy != nil:
		return h.Policy
	case h.ReportOnly != nil:
		return &policy.Config{Default: []string{policy.LevelPublic}}
	default:
		return new(policy.Config)
	}
}

// authored is the site as the tools for authors see it. It is there once the
// policies are provisioned.
func (h *Handler) authored() *author.Site {
	return h.authoredPolicy(h.enforced(), h.gate.Policy)
}

// authoredReport is the same with the policy that is only watched; nil where
// there is none.
func (h *Handler) authoredReport() *author.Site {
	if h.gate.Report == nil {
		return nil
	}
	return h.authoredPolicy(h.ReportOnly, h.gate.Report)
}

func (h *Handler) authoredPolicy(config *policy.Config, p *policy.Policy) *author.Site {
	site := &author.Site{
		Origin: h.Origin, Config: config, Policy: p, Reader: h.gate.Reader, Prefix: h.Prefix,
		ClaimsMethod: gate.MethodOverrides.Has, Position: parsePosition(h.Source),
	}
	if h.gate.Form != nil {
		site.Login = h.loginPart
	}
	if asksCaddy(config) {
		site.Describe = func() func(author.Facts) any {
			i := &imagination{handler: h}
			return func(f author.Facts) any {
				i.facts, i.made = f, nil
				return i
			}
		}
	}
	return site
}

// loginPart tells which part of the watched login a request is.
func (h *Handler) loginPart(f *author.Facts, readings *target.Readings) string {
	claims := func(field author.Field) bool { return gate.MethodOverrides.Has(field.Name) }
	seen := legacyform.Seen{Method: f.Method, Claimed: slices.ContainsFunc(f.Header, claims), Target: readings, Form: f.Body()}
	switch h.gate.Form.Part(&seen) {
	case legacyform.Submit:
		return "submit"
	case legacyform.LoginPage:
		return "login_page"
	case legacyform.SignOut:
		return "sign_out"
	default:
		return ""
	}
}

// parsePosition reads FILE:LINE.
func parsePosition(text string) policy.Position {
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return policy.Position{}
	}
	line, err := strconv.Atoi(text[at+1:])
	if err != nil {
		return policy.Position{}
	}
	return policy.Position{File: text[:at], Line: line}
}

// asksCaddy tells whether some condition is one of Caddy's matchers.
func asksCaddy(config *policy.Config) bool {
	asks := func(raises []policy.RaiseConfig) bool {
		return slices.ContainsFunc(raises, func(r policy.RaiseConfig) bool {
			return slices.ContainsFunc(r.Conditions, func(c policy.ConditionConfig) bool {
				return policy.IsMatcher(c.Kind)
			})
		})
	}
	return asks(config.Raises) || slices.ContainsFunc(config.Rules, func(r policy.RuleConfig) bool { return asks(r.Raises) })
}

// imagination is a request that facts describe. It is made when a condition
// looks at it, which few do.
type imagination struct {
	handler *Handler
	facts   author.Facts
	made    *http.Request
}

// HTTP implements judged.
func (i *imagination) HTTP() *http.Request {
	if i.made == nil {
		i.made = i.handler.imagine(&i.facts)
	}
	return i.made
}

// Identity implements judged: what the facts say of who it is. Of the rest
// nobody has said anything.
func (i *imagination) Identity(placeholder string) (any, bool) {
	if !i.facts.SignedIn {
		return nil, false
	}
	value := map[string]string{
		"http.auth.user.id": i.facts.Username, "http.stepgate.groups": strings.Join(i.facts.Groups, ","),
		"http.stepgate.organisation": i.facts.Organisation, "http.stepgate.device": string(i.facts.Device),
	}[placeholder]
	return value, value != ""
}

// imagine makes the request that facts describe, as Caddy's server would hand
// it to the gate.
func (h *Handler) imagine(f *author.Facts) *http.Request {
	r := &http.Request{
		Method: f.Method, RequestURI: f.Target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, RemoteAddr: net.JoinHostPort(f.ClientIP, "1"),
	}
	var err error
	if r.URL, err = url.ParseRequestURI(f.Target); err != nil {
		r.URL = &url.URL{Path: f.Target}
	}
	scheme, host, _ := strings.Cut(h.Origin, "://")
	if r.Host = host; scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: host, Version: tls.VersionTLS13}
	}
	for _, field := range f.Header {
		r.Header.Add(field.Name, field.Value)
	}
	if len(f.Form) > 0 {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, new(caddyhttp.Server))
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, f.ClientIP)
	return r
}
