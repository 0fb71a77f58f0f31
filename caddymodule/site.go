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
	"golang.org/x/net/http/httpguts"

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

// SiteConfig is one site's gate as it is configured. The zero value is the
// smallest useful one: local accounts, everything needs `mfa`.
type SiteConfig struct {
	// Source is where the directive stands (FILE:LINE), for messages and for
	// finding the site's address.
	Source string `json:"source,omitempty"`
	// Copy tells apart the gates of several sites that import the same lines:
	// 0 for the first, 1 for the second.
	Copy int `json:"copy,omitempty"`
	// Origin is the site's address as browsers write it. Default: the
	// address of the site, where that is one plain host.
	Origin string `json:"origin,omitempty"`
	// Prefix is where the gateway's pages are. Default: /.stepgate.
	Prefix string `json:"prefix,omitempty"`
	// SignIn are the sign-in sources: modules of the namespace
	// stepgate.sign_in. Default: local accounts.
	SignIn []json.RawMessage `json:"sign_in,omitempty" caddy:"namespace=stepgate.sign_in inline_key=source"`
	// SignInFor are domains of names ("council.gov") by the name of the source
	// that signs these people in; nobody else's password is compared for them.
	// Default: a source is for all names that are no other's.
	SignInFor map[string][]string `json:"sign_in_for,omitempty"`
	// SignInAt is the origin of another site of this gateway, or of its
	// cluster, that signs people in for this one. It stands in place of
	// SignIn.
	SignInAt string `json:"sign_in_at,omitempty"`
	// Enrolment says who may enrol a first second factor: self, contact or
	// invited. Default: self with local accounts only, contact otherwise.
	Enrolment string `json:"enrolment,omitempty"`
	// BindingDelay is how long a credential that was added on weaker proofs
	// waits before it counts for levels that those would not meet. Default:
	// 24h; 0s takes the wait away.
	BindingDelay *caddy.Duration `json:"binding_delay,omitempty"`
	// AfterEnrolment is continue or sign_out. Default: continue.
	AfterEnrolment string `json:"after_enrolment,omitempty"`
	// Policy says what paths need. Default: everything needs mfa.
	Policy *policy.Config `json:"policy,omitempty"`
	// ReportOnly is a policy that is judged and told of, never enforced.
	// Without Policy beside it nothing is enforced.
	ReportOnly *policy.Config `json:"report_only,omitempty"`
	// IdentityHeaders replaces the headers that tell the upstream who it is:
	// name and placeholder. Default: Remote-User, Remote-Name, Remote-Email,
	// Remote-Groups, Stepgate-Assertion.
	IdentityHeaders []IdentityHeader `json:"identity_headers,omitempty"`
	// Audience is the `aud` of the assertion. Default: the origin.
	Audience string `json:"audience,omitempty"`
	// KeepRequests is the longest body, in bytes, of an interrupted request
	// that is kept until its challenge is over. Default: 10 MiB; -1 keeps
	// none.
	KeepRequests int64 `json:"keep_requests,omitempty"`
	// RelyingParty scopes security keys. Default: the origin's host.
	RelyingParty *RelyingPartyConfig `json:"relying_party,omitempty"`
	// Pages is how the gateway's pages call the portal, and in what language.
	Pages *PagesConfig `json:"pages,omitempty"`
	// PathCharset is the charset of paths that are no UTF-8, as old
	// applications write them: one of a byte a character, by its name on the
	// web. Default: none, and such paths are refused.
	PathCharset string `json:"path_charset,omitempty"`
	// PassURLOverrides lets X-Original-URL and its kin reach the upstream.
	PassURLOverrides bool `json:"pass_url_overrides,omitempty"`
	// InjectStepUp adds the gateway's script to the app's pages: on, or early
	// to have it say above a form that sending it will ask for more. Default:
	// none.
	InjectStepUp string `json:"inject_step_up,omitempty"`
	// AdminPages gives the site the pages of administrators and of the
	// helpdesk, below /admin/ of the prefix. Default: none.
	AdminPages bool `json:"admin_pages,omitempty"`
	// KeepStream leaves WebSockets and event streams open when a level of
	// their path runs out; they still end with their session.
	KeepStream bool `json:"keep_stream,omitempty"`

	// around is what the gate stands in, once it was looked at.
	around *surroundings
}

// IdentityHeader is one header of `identity_headers`.
type IdentityHeader struct {
	Name string `json:"name"`
	// Placeholder with its braces: {http.auth.user.id}.
	Placeholder string `json:"placeholder"`
}

// RelyingPartyConfig is the WebAuthn relying party.
type RelyingPartyConfig struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// PagesConfig is the look of the pages.
type PagesConfig struct {
	Name      string   `json:"name,omitempty"`
	Help      string   `json:"help,omitempty"`
	Languages []string `json:"languages,omitempty"`
	// TimeZone is that of the times on pages and in messages ("Europe/London").
	// Default: UTC, which is then named beside them.
	TimeZone string `json:"timezone,omitempty"`
	// Templates is a folder of the operator's: SET/FILE in it replaces that file
	// of that set of pages, the texts of texts_LANG.json one by one. Default:
	// none.
	Templates string `json:"templates,omitempty"`
}

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
	options := web.Options{Log: h.logPage}
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

// enrolment is the site's, or the default of its sources.
func (h *Handler) enrolment() challenge.Enrolment {
	if h.Enrolment != "" {
		return challenge.Enrolment(h.Enrolment)
	}
	if h.SignInAt != "" {
		if at := h.app.siteAt(h.SignInAt); at != nil && at.SignInAt == "" {
			return at.enrolment()
		}
		return challenge.EnrolContact
	}
	for _, s := range h.sources {
		if s.Name() != "local" {
			return challenge.EnrolContact
		}
	}
	return challenge.EnrolSelf
}

// check tells what is wrong with a header of `identity_headers`.
func (i IdentityHeader) check() error {
	if !httpguts.ValidHeaderFieldName(i.Name) {
		return errors.New("not a header name")
	}
	placeholder, closed := strings.CutSuffix(strings.TrimPrefix(i.Placeholder, "{"), "}")
	if !closed || !strings.HasPrefix(i.Placeholder, "{") || !slices.Contains(identityPlaceholders, placeholder) {
		return fmt.Errorf("%s is no placeholder of the gateway%s", i.Placeholder, block.DidYouMean(placeholder, identityPlaceholders))
	}
	return nil
}

// checkPrefix tells what is wrong with where the gateway's pages are.
func checkPrefix(prefix string) error {
	if !strings.HasPrefix(prefix, "/") || prefix != strings.ToLower(prefix) || !gate.PlainForURL(prefix) || strings.Trim(prefix, "/") == "" || strings.HasSuffix(prefix, "/") {
		return errors.New("expected a path in lower case, such as /.stepgate")
	}
	return nil
}

const defaultBindingDelay = 24 * time.Hour

func (h *Handler) bindingDelay() time.Duration {
	if h.BindingDelay == nil {
		return defaultBindingDelay
	}
	return time.Duration(*h.BindingDelay)
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

var (
	enrolmentWords      = []string{"self", "contact", "invited"}
	afterEnrolmentWords = []string{"continue", "sign_out"}
)
