package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/internal/gate"
	"github.com/stepgate/stepgate/policy"
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

// check tells what is wrong with a header of `identity_headers`.
func (i IdentityHeader) check() error {
	if !httpguts.ValidHeaderFieldName(i.Name) {
		return errors.New("not a header name")
	}
	placeholder, closed := strings.CutSuffix(strings.TrimPrefix(i.Placeholder, "{"), "}")
	if !closed || !strings.HasPrefix(i.Placeholder, "{") || !slices.Contains(identityPlaceholders, placeholder) {
		return fmt.Errorf("%s is no placeholder of the gateway%s", i.Placeholder, block.Expected(placeholder, identityPlaceholders))
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

var (
	enrolmentWords      = []string{"self", "contact", "invited"}
	afterEnrolmentWords = []string{"continue", "sign_out"}
)

func checkZone(name string) error {
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return errors.New("expected the name of a time zone, such as Europe/London")
	}
	return nil
}

// identityPlaceholders are what `identity_headers` can name.
var identityPlaceholders = []string{
	"http.auth.user.id", "http.stepgate.name", "http.stepgate.email", "http.stepgate.groups", "http.stepgate.organisation",
	"http.stepgate.levels", "http.stepgate.amr", "http.stepgate.auth_time", "http.stepgate.session", "http.stepgate.device",
	gate.AssertionPlaceholder,
}
