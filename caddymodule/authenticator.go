package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/internal/authenticator"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/push"
	"github.com/stepgate/stepgate/internal/web"
)

func init() {
	caddy.RegisterModule(new(AuthenticatorApp))
	httpcaddyfile.RegisterHandlerDirective("stepgate_authenticator", parseAuthenticator)
	httpcaddyfile.RegisterDirectiveOrder("stepgate_authenticator", httpcaddyfile.After, "forward_auth")
}

// parseAuthenticatorOption reads
//
//	authenticator ORIGIN {
//		push_services HOST…
//	}
func (a *App) parseAuthenticatorOption(d *caddyfile.Dispenser) error {
	a.Authenticator = new(AuthenticatorConfig)
	if !d.NextArg() {
		return d.Err("authenticator: expected the origin of the site with `stepgate_authenticator`, such as https://auth.example.gov")
	}
	a.Authenticator.Origin = strings.TrimSuffix(d.Val(), "/")
	if err := checkAppOrigin(a.Authenticator.Origin); err != nil {
		return d.Errf("authenticator: `%s`: %s", d.Val(), err)
	}
	if err := block.NoMore(d); err != nil {
		return err
	}
	return block.Block{Name: "authenticator", Options: map[string]func(*caddyfile.Dispenser) error{
		"push_services": block.WordList(&a.Authenticator.PushServices),
	}}.Parse(d)
}

// checkAppOrigin tells what is wrong with an origin for the app: browsers lend
// cryptography, and keep what works without a network, only over https and on
// the very machine.
func checkAppOrigin(origin string) error {
	if err := checkOrigin(origin); err != nil {
		return err
	}
	u, err := url.Parse(origin)
	if err != nil {
		return err
	}
	addr, _ := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" && u.Hostname() != "localhost" && !strings.HasSuffix(u.Hostname(), ".localhost") && !addr.IsLoopback() {
		return errors.New("expected https: on plain http no browser keeps a key")
	}
	return nil
}

// checkAuthenticator tells what is wrong with where the app is.
func (a *App) checkAuthenticator() error {
	if a.Authenticator == nil {
		return nil
	}
	if err := checkAppOrigin(a.Authenticator.Origin); err != nil {
		return fmt.Errorf("authenticator %s: %w", a.Authenticator.Origin, err)
	}
	for _, host := range a.Authenticator.PushServices {
		if strings.ContainsAny(host, "/:") || strings.Contains(strings.TrimPrefix(host, "*."), "*") {
			return fmt.Errorf("authenticator push_services %s: expected a host, or *.SUFFIX", host)
		}
	}
	return nil
}

// sharesAuthenticator tells whether a site is where the app is: a script in the
// portal could read what the app keeps.
func (h *Handler) sharesAuthenticator() bool {
	return h.app.Authenticator != nil && h.Origin == h.app.Authenticator.Origin
}

// newPhones makes what answers the app; nil without one.
func (a *App) newPhones(r *runtime) (*authenticator.Server, error) {
	if a.Authenticator == nil {
		return nil, nil
	}
	sender, err := push.New(a.Authenticator.Origin, func(n byte) []byte { return r.ring.LastingMAC("web push", []byte{n}) }, a.Authenticator.PushServices)
	if err != nil {
		return nil, err
	}
	return &authenticator.Server{
		Store: r.store, Origin: a.Authenticator.Origin, SiteName: a.siteName, Push: sender, Address: clientAddress, Where: a.whereIs, Now: time.Now,
		Notices: func(origin string) *people.Notices {
			if site := a.siteAt(origin); site != nil && site.gate.Web != nil {
				return site.notices(r)
			}
			return a.notices(r)
		},
		Report: func(reference string, err error) {
			r.log.Error("the authenticator app", zap.String("reference", reference), zap.Error(err))
		},
	}, nil
}

// siteName is how a site of this gateway is called.
func (a *App) siteName(origin string) string {
	if site := a.siteAt(origin); site != nil && site.gate.Web != nil {
		return site.gate.Web.Name
	}
	u, err := url.Parse(origin)
	if err != nil {
		return origin
	}
	return u.Hostname()
}

// AuthenticatorApp is the Caddy handler "http.handlers.stepgate_authenticator":
// it serves the authenticator app on a host of its own, and answers every
// request there.
type AuthenticatorApp struct {
	// Source is where the directive stands (FILE:LINE), for messages.
	Source string `json:"source,omitempty"`
	// Name is how the app calls itself. Default: Authenticator.
	Name string `json:"name,omitempty"`
	// Languages are those of the app, the default first. Default: en, cy.
	Languages []string `json:"languages,omitempty"`

	app *App
	// files are made at the first request: all sites have their names then.
	files func() (*authenticator.Files, error)
	// kit says what went wrong, in the name and the languages of web.
	kit    *web.Kit
	web    *web.Site
	assets http.Handler
	log    *zap.Logger
}

// CaddyModule implements caddy.Module.
func (*AuthenticatorApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.stepgate_authenticator", New: func() caddy.Module { return new(AuthenticatorApp) }}
}

// parseAuthenticator reads the directive:
//
//	stepgate_authenticator {
//		name TEXT
//		language TAG…
//	}
func parseAuthenticator(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	d := h.Dispenser
	d.Next() // the directive's own word
	x := &AuthenticatorApp{Source: block.Position(d).String()}
	if d.NextArg() {
		return nil, d.Errf("stepgate_authenticator takes no arguments, but there is `%s`; options stand in a block", d.Val())
	}
	var said caddyfile.Dispenser
	err := block.Block{Name: "stepgate_authenticator", Options: map[string]func(*caddyfile.Dispenser) error{
		"name":     block.OneWord(&x.Name),
		"language": languages(&x.Languages, &said),
	}}.Parse(d)
	if err == nil {
		err = checkLanguages(&said, x.Languages, authenticator.Languages())
	}
	return x, err
}

// Provision makes the app's files. It opens no store.
func (x *AuthenticatorApp) Provision(ctx caddy.Context) error {
	app, err := ctx.App("stepgate")
	if err != nil {
		return fmt.Errorf("stepgate_authenticator: %w", err)
	}
	x.app = app.(*App)
	if x.Name == "" {
		x.Name = "Authenticator"
	}
	if len(x.Languages) == 0 {
		x.Languages = authenticator.Languages()
	}
	x.files = sync.OnceValues(func() (*authenticator.Files, error) { return authenticator.NewFiles(x.look(), x.missing) })
	x.log = ctx.Logger()
	x.web = &web.Site{Name: x.Name, Languages: x.Languages}
	if x.kit, err = web.New(web.Options{}); err != nil {
		return err
	}
	x.assets = x.kit.Assets(x.web)
	return nil
}

func (x *AuthenticatorApp) look() authenticator.Look {
	look := authenticator.Look{Name: x.Name, Languages: x.Languages}
	for _, site := range x.app.sites {
		if site.gate.Web != nil {
			look.Sites = append(look.Sites, authenticator.Site{Issuer: site.relyingParty().Name, Origin: site.Origin})
		}
	}
	return look
}

// Validate implements caddy.Validator.
func (x *AuthenticatorApp) Validate() error {
	known := authenticator.Languages()
	for _, lang := range x.Languages {
		if !slices.Contains(known, lang) {
			return fmt.Errorf("stepgate: %s: stepgate_authenticator language %s: expected %s", x.Source, lang, strings.Join(known, " or "))
		}
	}
	return nil
}

// ServeHTTP serves the app and answers it. Nothing else on the host does.
func (x *AuthenticatorApp) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/"):
		x.serveAPI(w, r)
	case strings.HasPrefix(r.URL.Path, x.web.Path("/assets/")):
		x.assets.ServeHTTP(w, r)
	default:
		files, err := x.files()
		if err != nil {
			x.fail(w, r, err)
			return nil
		}
		files.ServeHTTP(w, r)
	}
	return nil
}

// serveAPI answers the app, which has words of its own for a problem document
// with a reference.
func (x *AuthenticatorApp) serveAPI(w http.ResponseWriter, r *http.Request) {
	runtime, err := x.app.open(r.Context())
	switch {
	case err != nil:
		x.fail(w, r, &web.Fail{Status: http.StatusServiceUnavailable, Err: err})
	case runtime.phones == nil:
		x.fail(w, r, &web.Fail{Status: http.StatusServiceUnavailable, Err: errNoPhones})
	default:
		runtime.phones.Handler().ServeHTTP(w, r)
	}
}

var errNoPhones = errors.New("no `authenticator` in the app's options")

// missing answers a request for no file of the app's.
func (x *AuthenticatorApp) missing(w http.ResponseWriter, r *http.Request, status int) {
	x.fail(w, r, &web.Fail{Status: status})
}

// fail shows an error and writes it down under the reference that is shown.
func (x *AuthenticatorApp) fail(w http.ResponseWriter, r *http.Request, err error) {
	reference := x.kit.RenderFail(w, r, x.web, err)
	level := zap.ErrorLevel
	if known := (*web.Fail)(nil); errors.As(err, &known) && known.Status < http.StatusInternalServerError {
		level = zap.DebugLevel
	}
	x.log.Log(level, "the authenticator app", zap.String("reference", reference), zap.Error(err))
}

// Interface guards.
var (
	_ caddyhttp.MiddlewareHandler = (*AuthenticatorApp)(nil)
	_ caddy.Provisioner           = (*AuthenticatorApp)(nil)
	_ caddy.Validator             = (*AuthenticatorApp)(nil)
)
