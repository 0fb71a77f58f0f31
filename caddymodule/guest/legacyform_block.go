package guest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
)

// UnmarshalCaddyfile implements caddyfile.Unmarshaler:
//
//	sign_in legacy_form [NAME] {
//		name           NAME
//		submit         [METHOD] PATH [form FIELD GLOB]…
//		username_field FIELD | json /POINTER
//		password_field FIELD | json /POINTER
//		session_token  json /POINTER
//		charset        NAME
//		success|failure status CODE… | location [!]GLOB… | body REGEX…
//		success|failure header|cookie NAME [GLOB…]
//		session_cookie NAME|GLOB…
//		identity       probe PATH REGEX | cookie NAME | header NAME | body REGEX
//		probe_cookie   NAME|GLOB…
//		login_page     PATH…
//		sign_out       [METHOD] PATH [form FIELD GLOB]…
//		pass_authorization
//		seal_cookies
//	}
//
// Paths are exact. Their queries name the fields that there may be.
func (s *SignInLegacyForm) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		s.SourceName = d.Val()
	}
	if err := block.NoMore(d); err != nil {
		return err
	}
	err := block.Block{
		Name: "sign_in legacy_form", Repeated: []string{"submit", "success", "failure", "session_cookie", "probe_cookie", "login_page", "sign_out"},
		Options: map[string]func(*caddyfile.Dispenser) error{
			"name":               block.OneWord(&s.SourceName),
			"submit":             parseTargets(&s.Submit),
			"username_field":     s.parseField(&s.UsernameField),
			"password_field":     s.parseField(&s.PasswordField),
			"session_token":      parseToken(&s.SessionToken),
			"charset":            block.OneWord(&s.Charset),
			"success":            parseConditions(&s.Success),
			"failure":            parseConditions(&s.Failure),
			"session_cookie":     moreWords(&s.SessionCookies),
			"identity":           s.parseIdentity,
			"probe_cookie":       moreWords(&s.ProbeCookies),
			"login_page":         moreWords(&s.LoginPages),
			"sign_out":           parseTargets(&s.SignOut),
			"pass_authorization": block.Flag(&s.PassAuthorization),
			"seal_cookies":       block.Flag(&s.SealCookies),
		},
	}.Parse(d)
	switch {
	case err != nil:
		return err
	case s.mixed():
		return d.Err("username_field, password_field: one is `json /POINTER` and the other is not; a login is JSON or a form")
	}
	_, err = legacyform.New(s.Name(), s.Config)
	return block.RefusedAt(d, "sign_in legacy_form", err)
}

// mixed tells whether one of the two fields is in JSON and the other is not.
func (s *SignInLegacyForm) mixed() bool {
	return s.JSON && s.fieldsInJSON != 2
}

// parseField reads the name of a form's field, or where it is in JSON.
func (s *SignInLegacyForm) parseField(into *string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if d.CountRemainingArgs() != 2 {
			return block.OneWord(into)(d)
		}
		s.JSON = true
		s.fieldsInJSON++
		return parseToken(into)(d)
	}
}

// parseToken reads `json /POINTER`.
func parseToken(into *string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option, words := d.Val(), d.RemainingArgs()
		if len(words) != 2 || words[0] != "json" {
			return d.Errf("%s: expected `json /POINTER`, as in `%s json /username`", option, option)
		}
		*into = words[1]
		return block.NoBlock(d)
	}
}

// moreWords is wordList for an option that may stand several times.
func moreWords(into *[]string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		var words []string
		err := block.WordList(&words)(d)
		*into = append(*into, words...)
		return err
	}
}

var formMethods = []string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

// parseTargets reads `[METHOD] PATH [form FIELD GLOB]…`.
func parseTargets(into *[]legacyform.Target) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option, words := d.Val(), d.RemainingArgs()
		var t legacyform.Target
		if len(words) > 0 && slices.Contains(formMethods, strings.ToUpper(words[0])) {
			t.Method, words = strings.ToUpper(words[0]), words[1:]
		}
		if len(words) == 0 || !strings.HasPrefix(words[0], "/") {
			return d.Errf("%s: expected a path, perhaps with a method before it, as in `%s POST /login.php`", option, option)
		}
		t.Path, words = words[0], words[1:]
		for len(words) > 0 {
			if words[0] != "form" || len(words) < 3 {
				return d.Errf("%s %s: unexpected `%s`; expected `form FIELD VALUE`", option, t.Path, words[0])
			}
			t.Form = append(t.Form, legacyform.Field{Name: words[1], Value: words[2]})
			words = words[3:]
		}
		*into = append(*into, t)
		return block.NoBlock(d)
	}
}

// parseConditions reads one sign of an answer.
func parseConditions(into *[]legacyform.Condition) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option, words := d.Val(), d.RemainingArgs()
		if len(words) < 2 {
			return d.Errf("%s: expected one of %s and what to look for, as in `%s status 302`", option, strings.Join(legacyform.ConditionKinds, ", "), option)
		}
		c := legacyform.Condition{Kind: words[0], Values: words[1:]}
		if !slices.Contains(legacyform.ConditionKinds, c.Kind) {
			return block.Unknown(d, option, c.Kind, legacyform.ConditionKinds)
		}
		if c.Kind == "header" || c.Kind == "cookie" {
			c.Name, c.Values = words[1], words[2:]
		}
		*into = append(*into, c)
		return block.NoBlock(d)
	}
}

// parseIdentity reads where the app says who somebody is.
func (s *SignInLegacyForm) parseIdentity(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	if len(words) == 0 {
		return d.Errf("identity: expected one of %s", strings.Join(legacyform.IdentityKinds, ", "))
	}
	i := &legacyform.Identity{Kind: words[0]}
	wanted := map[string]string{"probe": "PATH REGEX", "cookie": "NAME", "header": "NAME", "body": "REGEX"}[i.Kind]
	switch {
	case wanted == "":
		return block.Unknown(d, "identity", i.Kind, legacyform.IdentityKinds)
	case len(words)-1 != len(strings.Fields(wanted)):
		return d.Errf("identity %s: expected %s", i.Kind, wanted)
	case i.Kind == "body":
		i.Pattern = words[1]
	default:
		i.Name = words[1]
	}
	if i.Kind == "probe" {
		i.Pattern = words[2]
	}
	s.Identity = i
	return block.NoBlock(d)
}
