package caddymodule

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/caddymodule/guest"
	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/policy/author"
)

// The codes of notes about sign-in sources.
const (
	// codeFormWithoutIdentity: nobody but the form says who signed in.
	codeFormWithoutIdentity = "legacy-form-without-identity"
	// codeIdentityText: what the identity is read from may be people's own text.
	codeIdentityText = "identity-text"
	// codeAnyToken: every text of a login's answer may be a token.
	codeAnyToken = "token-unnamed"
	// codeBearer: a script keeps the token that says who somebody is.
	codeBearer = "token-in-scripts"
	// codePassed: what the app takes from Authorization is held to no session.
	codePassed = "authorization-passed"
	// codeOwnPage: browsers hold passwords, sealed.
	codeOwnPage = "own-page-holds-password"
	// codeProbe: an app that asks by itself is asked where a rule wants more.
	codeProbe = "probe-needs-more"
)

// lintSources says what sign-in sources leave open.
func (d *drawing) lintSources(h *Handler) []author.Finding {
	var found []author.Finding
	for _, module := range h.sources {
		switch s := module.(type) {
		case *guest.SignInLegacyForm:
			found = append(found, d.lintLoginPages(h, s)...)
			found = append(found, d.lintForm(h, s)...)
		case *guest.SignInUpstreamBasic:
			found = append(found, d.lintBasic(h, s)...)
		}
	}
	return found
}

// typedElsewhere tells whether no source of the site can ask somebody for their
// password anew.
func (h *Handler) typedElsewhere() bool {
	return len(h.sources) > 0 && !slices.ContainsFunc(h.sources, func(module source.Module) bool {
		switch s := module.(type) {
		case *guest.SignInTrusted:
			return false
		case *guest.SignInUpstreamBasic:
			return s.OwnPage
		default:
			return true
		}
	})
}

// note is one about an option of a source, on the first line at or behind the
// gate's own that says it.
func (d *drawing) note(h *Handler, code, text, mend string, option ...string) author.Finding {
	pos := parsePosition(h.Source)
	f := author.Finding{Code: code, Note: true, Site: h.Origin, Text: text, Mend: mend, File: pos.File, Line: pos.Line}
	for _, line := range d.linesOf(option[0], option[1:]...) {
		if line >= pos.Line {
			return d.at(f, []int{line})
		}
	}
	return f
}

// lintForm says what a watched form takes on trust.
func (d *drawing) lintForm(h *Handler, form *guest.SignInLegacyForm) []author.Finding {
	var found []author.Finding
	switch text := ownText(form.Identity); {
	case form.Identity == nil:
		found = append(found, d.note(h, codeFormWithoutIdentity,
			fmt.Sprintf("sign_in %s without `identity`: a person is whoever the login form named, as the gateway reads that name; where the app reads it otherwise (an alias, another spelling, an e-mail address) somebody gets another one's account, and cookies that the app sets later are bound to nobody", form.Name()),
			"name the app's own word for who signed in, such as `identity probe /profile.php \"Signed in as <b>(.+?)</b>\"`", "sign_in", "legacy_form"))
	case text != "":
		found = append(found, d.note(h, codeIdentityText,
			fmt.Sprintf("identity %s %s reads the name out of %s: where people can change it, whoever signs in for the first time is who they say", form.Identity.Kind, form.Identity.Name, text),
			"name a text that people cannot change, with what shows that in the pattern (`disabled`, `readonly`), and try a second account whose display name is not its name (`stepgate legacy learn --also-username`)",
			"identity", form.Identity.Kind))
	}
	bears, says := form.SessionToken != "" || form.JSON, "username_field"
	if form.SessionToken != "" {
		says = "session_token"
	}
	if form.JSON && form.SessionToken == "" && len(form.SessionCookies) == 0 {
		found = append(found, d.note(h, codeAnyToken,
			"no `session_token`: every text in the answer to a login that can be a bearer token is bound to the session, and passes with it",
			"name the one that is, such as `session_token json /access_token`", "username_field"))
	}
	if bears {
		found = append(found, d.note(h, codeBearer,
			"a script of the app keeps the bearer token: outside its session it opens nothing, but what a page sends with it within an open WebSocket nobody sees",
			"give a path that takes a WebSocket the level that its strongest message needs", says))
	}
	if form.PassAuthorization && !bears {
		found = append(found, d.note(h, codePassed,
			"pass_authorization: what the app takes from `Authorization` is held to no session: in the session of one person it may act for another, whoever has that one's password",
			"leave it out, unless the app takes no name and no token from there", "pass_authorization"))
	}
	return found
}

var (
	editable = regexp.MustCompile(`(?i)<(input|textarea|select|option)\b|\bvalue=`)
	fixed    = regexp.MustCompile(`(?i)(disabled|readonly|type=\\?["']?hidden)`)
	greeting = regexp.MustCompile(`(?i)\b(hello|hi|howdy|welcome|dear|display.?name|nick.?name|full.?name|real.?name|first.?name|mailto)\b`)
)

// ownText tells what an identity is read from, where people may well have
// written that themselves; "" where nothing says so.
func ownText(i *legacyform.Identity) string {
	switch {
	case i == nil || i.Pattern == "":
		return ""
	case editable.MatchString(i.Pattern) && !fixed.MatchString(i.Pattern):
		return "a field that the pattern does not show to be locked"
	case greeting.MatchString(i.Pattern):
		return "what looks like a greeting or a display name"
	default:
		return ""
	}
}

// lintBasic says what an app that asks by itself leaves open.
func (d *drawing) lintBasic(h *Handler, basic *guest.SignInUpstreamBasic) []author.Finding {
	var found []author.Finding
	if basic.OwnPage {
		found = append(found, d.note(h, codeOwnPage,
			"own_page: each browser holds its person's password for as long as the session lives, sealed with the gateway's key: whoever has both that cookie and the key file has the password",
			"leave it out where the browser's own box will do", "own_page"))
	}
	place, _, _ := strings.Cut(basic.Basic().LoginTarget(), "?")
	if rule, _ := h.protecting(place, []string{http.MethodGet}); rule != nil {
		found = append(found, d.note(h, codeProbe,
			fmt.Sprintf("probe %s is asked with a password alone, and `%s` asks for more there: whatever a GET of it does is done before that", place, rule.Pattern()),
			"name a path that shows little and does nothing, and give it `require signed_in`", "probe"))
	}
	return found
}
