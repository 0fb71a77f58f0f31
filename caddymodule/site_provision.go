package caddymodule

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/internal/admin"
	"github.com/stepgate/stepgate/internal/gate"
	"github.com/stepgate/stepgate/internal/selfservice"
	"github.com/stepgate/stepgate/internal/softtoken"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// Provision compiles the policy and makes the pages. It opens no store.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	h.asWritten = writtenGate(h)
	app, err := ctx.App("stepgate")
	if err != nil {
		return fmt.Errorf("stepgate: %w", err)
	}
	h.app = app.(*App)
	h.app.sites = append(h.app.sites, h)
	if err := h.provisionAddress(ctx); err != nil {
		return h.misconfigured(err)
	}
	if err := h.provisionSources(ctx); err != nil {
		return h.misconfigured(err)
	}
	if err := h.provisionPolicies(ctx); err != nil {
		return fmt.Errorf("stepgate: %w", err) // it says where itself, to the line
	}
	if err := h.provisionIdentity(); err != nil {
		return h.misconfigured(err)
	}
	if err := h.provisionPages(); err != nil {
		return h.misconfigured(err)
	}
	if err := h.guardErrorRoutes(ctx); err != nil {
		return h.misconfigured(err)
	}
	if err := h.quietLogs(ctx); err != nil {
		return h.misconfigured(err)
	}
	h.gate.Origin, h.gate.Prefix, h.gate.Audience, h.gate.KeepStream = h.Origin, h.Prefix, h.Audience, h.KeepStream
	h.gate.Server, h.gate.Open, h.gate.Log = server{h.app}, h.newLive, h.logger
	h.warnAboutMatchers(ctx)
	return nil
}

// writtenGate is a gate as a configuration has it, with digests in the place
// of its policies: with many rules they are most of it, and are kept besides.
func writtenGate(h *Handler) json.RawMessage {
	bare := h.SiteConfig
	bare.Policy, bare.ReportOnly = nil, nil
	fields := map[string]any{}
	if text, err := json.Marshal(bare); err == nil {
		_ = json.Unmarshal(text, &fields)
	}
	for name, config := range map[string]*policy.Config{"policy": h.Policy, "report_only": h.ReportOnly} {
		if config != nil {
			text, _ := json.Marshal(config)
			fields[name] = map[string]string{"digest": fmt.Sprintf("%x", sha256.Sum256(text))}
		}
	}
	fields["handler"] = "stepgate"
	text, _ := json.Marshal(fields)
	return text
}

// misconfigured says where the site's directive stands.
func (h *Handler) misconfigured(err error) error {
	if h.Source == "" {
		return fmt.Errorf("stepgate: %w", err)
	}
	return fmt.Errorf("stepgate: %s: %w", h.Source, err)
}

func (h *Handler) provisionAddress(ctx caddy.Context) error {
	if h.Prefix == "" {
		h.Prefix = web.DefaultPrefix
	}
	if h.Origin == "" {
		origin, err := h.siteOrigin(ctx)
		if err != nil {
			return err
		}
		h.Origin = origin
	}
	return nil
}

func (h *Handler) provisionPolicies(ctx caddy.Context) error {
	config := h.enforced()
	options := policy.CompileOptions{Matcher: matcherCompiler(ctx)}
	var err error
	if h.gate.Policy, err = policy.Compile(config, options); err != nil {
		return err
	}
	if h.ReportOnly != nil {
		if h.gate.Report, err = policy.Compile(h.ReportOnly, options); err != nil {
			return err
		}
	}
	if h.gate.Reader, err = target.NewReader(target.Options{Scripts: config.Scripts, Charset: h.PathCharset}); err != nil {
		return err
	}
	return h.checkAsserts()
}

func (h *Handler) provisionIdentity() error {
	h.gate.Names = gate.DefaultIdentity()
	if len(h.IdentityHeaders) > 0 {
		h.gate.Names = nil
		for _, i := range h.IdentityHeaders {
			if err := i.check(); err != nil {
				return fmt.Errorf("identity_headers %s: %w", i.Name, err)
			}
			h.gate.Names = append(h.gate.Names, gate.IdentityHeader{Name: http.CanonicalHeaderKey(i.Name), Placeholder: strings.Trim(i.Placeholder, "{}")})
		}
	}
	// What is managed by default stays so when it is renamed: an upstream may
	// look at it all the same.
	var managed []string
	for _, i := range append(gate.DefaultIdentity(), h.gate.Names...) {
		managed = append(managed, i.Name)
	}
	for _, module := range h.sources {
		// A header that may say who somebody is arrives from nobody.
		if from, ok := module.(interface{ Headers() []string }); ok {
			managed = append(managed, from.Headers()...)
		}
	}
	h.gate.Managed = gate.NewHeaderSet(managed...)
	h.gate.Managed.Paths = !h.PassURLOverrides
	return nil
}

func (h *Handler) provisionPages() error {
	origin, err := url.Parse(h.Origin)
	if err != nil {
		return err
	}
	if h.Pages == nil {
		h.Pages = new(PagesConfig)
	}
	name := h.Pages.Name
	if name == "" {
		name = origin.Hostname()
	}
	h.gate.Web = &web.Site{
		Name: name, Help: h.Pages.Help, Origin: h.Origin, Prefix: h.Prefix, Languages: h.Pages.Languages,
		SecureCookies: origin.Scheme == "https",
	}
	if zone := h.Pages.TimeZone; zone != "" {
		if err := checkZone(zone); err != nil {
			return fmt.Errorf("pages timezone %s: %w", zone, err)
		}
		if h.gate.Web.Zone, err = time.LoadLocation(zone); err != nil {
			return err
		}
	}
	options := web.Options{Log: h.logPage, Refused: h.gate.Refused}
	if options.Override, err = h.Pages.override(); err != nil {
		return err
	}
	if h.gate.Kit, err = web.New(options); err != nil {
		return err
	}
	h.gate.Kit.Share(softtoken.ScriptName, softtoken.Script)
	if h.pages, err = h.gate.Kit.Parse("challenge", challenge.Templates(), challenge.PageNames...); err != nil {
		return err
	}
	if h.own, err = h.gate.Kit.Parse("selfservice", selfservice.Templates(), selfservice.PageNames...); err != nil {
		return err
	}
	if h.AdminPages {
		if h.administration, err = h.gate.Kit.Parse("admin", admin.Templates(), admin.PageNames...); err != nil {
			return err
		}
	}
	if err := h.app.extendQuestions(h.pages, h.languages()); err != nil {
		return err
	}
	if err := h.gate.Kit.CheckSite(h.gate.Web); err != nil {
		return err
	}
	return h.provisionScript()
}

// Validate only reads. It reports all findings joined.
func (h *Handler) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, h.misconfigured(fmt.Errorf(format, args...))) }
	if err := checkOrigin(h.Origin); err != nil {
		bad("origin %s: %w", h.Origin, err)
	}
	if h.sharesAuthenticator() {
		bad("origin %s: it is that of the authenticator app, which needs a host of its own: a script in the portal could read what the app keeps", h.Origin)
	}
	if err := checkPrefix(h.Prefix); err != nil {
		bad("prefix %s: %w", h.Prefix, err)
	}
	if word := h.Enrolment; word != "" && !slices.Contains(enrolmentWords, word) {
		bad("enrolment %s: expected self, contact or invited%s", word, block.DidYouMean(word, enrolmentWords))
	}
	if d := h.bindingDelay(); d < 0 {
		bad("binding_delay: a duration cannot be shorter than nothing")
	}
	if word := h.AfterEnrolment; word != "" && !slices.Contains(afterEnrolmentWords, word) {
		bad("after_enrolment %s: expected continue or sign_out%s", word, block.DidYouMean(word, afterEnrolmentWords))
	}
	return errors.Join(errs...)
}
