package legacyform

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/stepgate/stepgate/internal/weld"
)

// Config is a watched form as it is configured.
type Config struct {
	// Submit are the requests that carry a name and a password.
	Submit []Target `json:"submit,omitempty"`
	// UsernameField and PasswordField are the names of the form's fields, or
	// JSON Pointers (RFC 6901) where JSON is set.
	UsernameField string `json:"username_field,omitempty"`
	PasswordField string `json:"password_field,omitempty"`
	// JSON says that logins are sent as JSON, not as a form.
	JSON bool `json:"json,omitempty"`
	// SessionToken is a JSON Pointer to the bearer token in the answer to a
	// good login. Default, where logins are JSON: every text that can be one.
	SessionToken string `json:"session_token,omitempty"`
	// Charset is the encoding in which the form sends names (WHATWG
	// Encoding). Default: utf-8.
	Charset string `json:"charset,omitempty"`
	// Success are conditions that all hold of the answer to a good login;
	// Failure are conditions of which none does.
	Success []Condition `json:"success,omitempty"`
	Failure []Condition `json:"failure,omitempty"`
	// SessionCookies are the cookies, names or globs, by which the app knows
	// who it is. A name after "!" is none of them though a glob fits it.
	SessionCookies []string `json:"session_cookies,omitempty"`
	// Identity is the app's own word for who this is. Default: the submitted
	// name, and then only accounts that exist already.
	Identity *Identity `json:"identity,omitempty"`
	// ProbeCookies are cookies, names or globs, that a probe carries besides
	// the session's, such as a load balancer's. The app must take nobody's
	// name from them.
	ProbeCookies []string `json:"probe_cookies,omitempty"`
	// LoginPages show the form: paths, with the fields that their queries may
	// have. People without a session go to the first.
	LoginPages []string `json:"login_pages,omitempty"`
	// SignOut are the requests that end the app's session.
	SignOut []Target `json:"sign_out,omitempty"`
	// PassAuthorization lets the Authorization header reach the app.
	PassAuthorization bool `json:"pass_authorization,omitempty"`
	// SealCookies lets the browser hold the session cookies only encrypted
	// for its session.
	SealCookies bool `json:"seal_cookies,omitempty"`
}

// Target is a request, exactly: nothing else matches.
type Target struct {
	// Method; empty is GET and POST.
	Method string `json:"method,omitempty"`
	// Path as sent, with the fields that its query may have: NAME=GLOB. A
	// field whose glob is "*" may be missing; no field may be that is not
	// named.
	Path string `json:"path"`
	// Form are fields that a form body must have, each with that value.
	Form []Field `json:"form,omitempty"`
}

// Field is a field and a glob for its value.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Condition is one sign in the app's answer.
type Condition struct {
	// Kind is status, location, header, cookie or body.
	Kind string `json:"kind"`
	// Name of the header or cookie; that of a cookie may be a glob.
	Name string `json:"name,omitempty"`
	// Values are alternatives: statuses ("302", "3xx"), globs for where a
	// redirect leads (those that begin with "!" must all not match), globs
	// for a header's or cookie's value, regular expressions for the body.
	Values []string `json:"values,omitempty"`
}

// Identity is where the app says who this is.
type Identity struct {
	// Kind is probe, cookie, header or body.
	Kind string `json:"kind"`
	// Name of the cookie or header; the path and query that a probe asks for.
	Name string `json:"name,omitempty"`
	// Pattern is a regular expression for the body of the probe's answer, or
	// of the login's. Its one group is the name as HTML has it; a group
	// called url, as in (?P<url>.+?), is percent-decoded besides.
	Pattern string `json:"pattern,omitempty"`
}

// The words of conditions and identities.
var (
	ConditionKinds = []string{"status", "location", "header", "cookie", "body"}
	IdentityKinds  = []string{"probe", "cookie", "header", "body"}
)

// Form is a watched form. It never changes and is safe for concurrent use.
type Form struct {
	name     string
	config   Config
	submit   []*target
	pages    []*target
	signOut  []*target
	charset  encoding.Encoding // nil: UTF-8
	json     bool
	username pointer // where json is set
	password pointer
	token    pointer // nil: none is named
	success  []condition
	failure  []condition
	cookies  weld.Names
	asked    weld.Names // the cookies that a probe carries
	identity *identity
}

// New compiles a configuration for the source called name. Its error lists
// everything that is wrong.
func New(name string, c Config) (*Form, error) {
	f := &Form{name: name, config: c}
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	note(f.compileTargets())
	note(f.compileFields())
	var err error
	f.success, err = compileConditions("success", c.Success)
	note(err)
	f.failure, err = compileConditions("failure", c.Failure)
	note(err)
	f.cookies, err = weld.CompileNames(c.SessionCookies)
	if err != nil {
		note(fmt.Errorf("session_cookie: %w", err))
	}
	f.identity, err = compileIdentity(c.Identity)
	note(err)
	if _, err := weld.CompileNames(c.ProbeCookies); err != nil {
		note(fmt.Errorf("probe_cookie: %w", err))
	} else if f.asked, err = weld.CompileNames(slices.Concat(c.SessionCookies, c.ProbeCookies)); err != nil {
		f.asked = f.cookies // named above
	}
	note(f.check())
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return f, nil
}

// check finds what is missing as a whole.
func (f *Form) check() error {
	c := &f.config
	var errs []error
	for _, missing := range []struct {
		is   bool
		what string
	}{
		{len(c.Submit) == 0, "submit: say which request carries name and password, as in `submit POST /login.php`"},
		{c.UsernameField == "", "username_field: say which field has the name"},
		{c.PasswordField == "", "password_field: say which field has the password"},
		{len(c.LoginPages) == 0, "login_page: say where the form is, as in `login_page /login.php`"},
		{f.cookies.Empty() && !f.Bears(), "session_cookie: say by which cookies the app knows who it is"},
		{len(c.Success) == 0 && len(c.Failure) == 0 && c.Identity == nil,
			"success, failure, identity: nothing tells a good login from a bad one; give at least one of them"},
	} {
		if missing.is {
			errs = append(errs, errors.New(missing.what))
		}
	}
	if c.UsernameField != "" && strings.EqualFold(c.UsernameField, c.PasswordField) {
		errs = append(errs, errors.New("username_field, password_field: they are the same field"))
	}
	return errors.Join(errs...)
}

func (f *Form) compileTargets() error {
	var errs []error
	compile := func(option string, t Target, fallback ...string) *target {
		made, err := compileTarget(t, fallback)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", option, t.Path, err))
		}
		return made
	}
	for _, t := range f.config.Submit {
		f.submit = append(f.submit, compile("submit", t, http.MethodPost))
	}
	for _, t := range f.config.SignOut {
		f.signOut = append(f.signOut, compile("sign_out", t, http.MethodGet, http.MethodPost))
	}
	for _, path := range f.config.LoginPages {
		f.pages = append(f.pages, compile("login_page", Target{Path: path}, http.MethodGet, http.MethodHead))
	}
	for _, s := range f.submit {
		if s != nil && slices.Contains(s.methods, http.MethodGet) {
			errs = append(errs, errors.New("submit: a form that sends passwords in addresses (GET) is not watched"))
		}
	}
	return errors.Join(errs...)
}

func (f *Form) compileFields() error {
	if err := f.compilePointers(); err != nil {
		return err
	}
	if f.config.Charset == "" {
		return nil
	}
	if f.json {
		return errors.New("charset: JSON is always UTF-8")
	}
	found, err := htmlindex.Get(f.config.Charset)
	if err != nil {
		return fmt.Errorf("charset %s: there is no such encoding", f.config.Charset)
	}
	if name, _ := htmlindex.Name(found); name != "utf-8" {
		f.charset = found
	}
	return nil
}

func (f *Form) compilePointers() error {
	c := &f.config
	f.json = c.JSON
	var errs []error
	for _, one := range []struct {
		option, text string
		wanted       bool
		into         *pointer
	}{
		{"username_field", c.UsernameField, c.JSON && c.UsernameField != "", &f.username},
		{"password_field", c.PasswordField, c.JSON && c.PasswordField != "", &f.password},
		{"session_token", c.SessionToken, c.SessionToken != "", &f.token},
	} {
		if !one.wanted {
			continue
		}
		made, err := compilePointer(one.text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %w", one.option, err))
		}
		*one.into = made
	}
	return errors.Join(errs...)
}

func compileTarget(t Target, fallback []string) (*target, error) {
	path, query, _ := strings.Cut(t.Path, "?")
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, " *\"#\\") {
		return nil, errors.New("expected a path as it is sent, such as /login.php; it takes no globs")
	}
	made := &target{path: path, methods: fallback, form: t.Form}
	if t.Method != "" {
		made.methods = []string{strings.ToUpper(t.Method)}
	}
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		decoded, err := url.QueryUnescape(value)
		if err != nil || name == "" {
			return nil, fmt.Errorf("query %s: expected NAME=GLOB", part)
		}
		made.query = append(made.query, Field{name, decoded})
	}
	return made, nil
}

func compileIdentity(c *Identity) (*identity, error) {
	if c == nil {
		return nil, nil
	}
	made := &identity{kind: c.Kind, name: c.Name}
	if !slices.Contains(IdentityKinds, c.Kind) {
		return nil, fmt.Errorf("identity %s: expected one of %s", c.Kind, strings.Join(IdentityKinds, ", "))
	}
	if c.Kind != "body" && c.Name == "" {
		return nil, fmt.Errorf("identity %s: expected a %s", c.Kind, map[string]string{"probe": "path"}[c.Kind]+"name")
	}
	if c.Kind == "probe" && (!strings.HasPrefix(c.Name, "/") || strings.HasPrefix(c.Name, "//")) {
		return nil, fmt.Errorf("identity probe %s: expected a path, such as /profile.php", c.Name)
	}
	if c.Kind == "probe" || c.Kind == "body" {
		pattern, err := regexp.Compile(c.Pattern)
		if err != nil {
			return nil, fmt.Errorf("identity %s: %w", c.Kind, err)
		}
		if pattern.NumSubexp() != 1 {
			return nil, fmt.Errorf("identity %s %s: expected one group, around the name, as in \"Signed in as <b>(.+?)</b>\"; it has %s",
				c.Kind, c.Pattern, strconv.Itoa(pattern.NumSubexp()))
		}
		made.pattern = pattern
	}
	return made, nil
}

// Name implements signin.Source.
func (f *Form) Name() string { return f.name }

// LoginTarget implements signin.Observer: the first login page, as it is
// written, without the fields that may be missing.
func (f *Form) LoginTarget() string {
	path, query, _ := strings.Cut(f.config.LoginPages[0], "?")
	var fields []string
	for part := range strings.SplitSeq(query, "&") {
		if part != "" && !strings.Contains(part, "*") {
			fields = append(fields, part)
		}
	}
	if fields == nil {
		return path
	}
	return path + "?" + strings.Join(fields, "&")
}

// Cookies are the app's session cookies.
func (f *Form) Cookies() weld.Names { return f.cookies }

// PassAuthorization tells whether the Authorization header may reach the app.
func (f *Form) PassAuthorization() bool { return f.config.PassAuthorization }

// SealCookies tells whether browsers hold the session cookies encrypted.
func (f *Form) SealCookies() bool { return f.config.SealCookies }

// ConfirmsLater tells whether the identity can be asked for at any time, so
// that cookies may change within a session, or stay as they were at sign-in.
func (f *Form) ConfirmsLater() bool { return f.identity != nil && f.identity.kind == "probe" }

// Config returns what the form was made of, for `policy lint`. The caller
// changes nothing in it.
func (f *Form) Config() Config { return f.config }
