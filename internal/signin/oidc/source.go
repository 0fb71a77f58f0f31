package oidc

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/stepgate/stepgate/internal/signin"
)

// Source signs people in at an issuer. Safe for concurrent use.
type Source struct {
	name   string
	config Config
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	issuer  *issuer
	failure error // of the last look at the discovery document
	failed  time.Time
}

// issuer is what the discovery document says.
type issuer struct {
	*oidc.Provider
	keys     *keySet
	verifier *oidc.IDTokenVerifier
	readAt   time.Time
	claims   struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
		// SendsIssuer: RFC 9207 §3.
		SendsIssuer bool   `json:"authorization_response_iss_parameter_supported"`
		EndSession  string `json:"end_session_endpoint"`
	}
}

const (
	// rereadAfter is how old a discovery document may be. Keys are looked up
	// anew whenever a token names one that is not known.
	rereadAfter = time.Hour
	// retryAfter is how long an issuer that could not be read is left alone, so
	// that strangers cannot have it asked at their pace.
	retryAfter = time.Second
	// clockSkew is how far the issuer's clock and ours may be apart.
	clockSkew = 2 * time.Minute
)

var (
	_ signin.Redirector   = (*Source)(nil)
	_ signin.LogoutHearer = (*Source)(nil)
	_ signin.Ender        = (*Source)(nil)
)

// New makes a source of a configuration that Check found nothing wrong with.
// It reads ca_file and asks nobody.
func New(name string, c Config) (*Source, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	return &Source{name: name, config: c, client: client, now: time.Now}, nil
}

// Name implements signin.Source.
func (s *Source) Name() string { return s.name }

// Label implements signin.Labelled.
func (s *Source) Label() string { return cmp.Or(s.config.Label, s.name) }

// discover reads what the issuer says of itself, once in a while. Where it
// cannot be reached, what it said before still holds.
func (s *Source) discover(ctx context.Context) (*issuer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.issuer != nil && s.now().Sub(s.issuer.readAt) < rereadAfter {
		return s.issuer, nil
	}
	provider, err := s.readProvider(ctx)
	if err != nil {
		if s.issuer != nil {
			return s.issuer, nil
		}
		return nil, fmt.Errorf("oidc: discovery: %w", err)
	}
	found := &issuer{Provider: provider, readAt: s.now()}
	if err := provider.Claims(&found.claims); err != nil {
		return nil, fmt.Errorf("oidc: discovery: %w", err)
	}
	keys := &keySet{url: found.claims.Keys, client: s.client, now: s.now}
	if s.issuer != nil && s.issuer.claims.Keys == found.claims.Keys {
		keys = s.issuer.keys
	}
	found.keys = keys
	found.verifier = s.verifier(found, keys)
	s.issuer = found
	return found, nil
}

// readProvider reads the discovery document, but not again right after it could
// not be read.
func (s *Source) readProvider(ctx context.Context) (*oidc.Provider, error) {
	if s.failure != nil && s.now().Sub(s.failed) < retryAfter {
		return nil, s.failure
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), s.config.Issuer)
	s.failure, s.failed = err, s.now()
	return provider, err
}

// verifier checks tokens of an issuer for this client.
func (s *Source) verifier(i *issuer, keys oidc.KeySet) *oidc.IDTokenVerifier {
	var offered []string
	for _, algorithm := range signatures {
		if len(i.claims.Algorithms) == 0 || slices.Contains(i.claims.Algorithms, string(algorithm)) {
			offered = append(offered, string(algorithm))
		}
	}
	return oidc.NewVerifier(s.config.Issuer, keys, &oidc.Config{
		ClientID: s.config.ClientID, SupportedSigningAlgs: offered, Now: func() time.Time { return s.now().Add(-clockSkew) },
	})
}

func (s *Source) oauth(i *issuer, callback string) *oauth2.Config {
	scopes := s.config.Scopes
	if scopes == nil {
		scopes = []string{"profile", "email"}
	}
	return &oauth2.Config{
		ClientID: s.config.ClientID, ClientSecret: s.config.ClientSecret, Endpoint: i.Endpoint(),
		RedirectURL: callback, Scopes: append([]string{oidc.ScopeOpenID}, scopes...),
	}
}

// departure is what one departure remembers, sealed in the browser.
type departure struct {
	Source   string `json:"source"`
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	// Fresh is set where the person was to sign in anew after At.
	Fresh bool      `json:"fresh,omitempty"`
	At    time.Time `json:"at"`
}

// Depart implements signin.Redirector. Its errors are technical: the issuer
// cannot be reached, or says it is another one.
func (s *Source) Depart(ctx context.Context, d signin.Departure) (location string, state []byte, err error) {
	i, err := s.discover(ctx)
	if err != nil {
		return "", nil, err
	}
	if d.Key == "" {
		return "", nil, errors.New("oidc: a departure without a key")
	}
	kept := departure{
		Source: s.name, State: d.Key, Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Fresh: d.Fresh, At: s.now().UTC(),
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(kept.Nonce), oauth2.S256ChallengeOption(kept.Verifier)}
	if d.Fresh {
		// Core §3.1.2.1: max_age obliges the issuer to say when.
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	if d.Hint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", d.Hint))
	}
	if d.Language != "" {
		options = append(options, oauth2.SetAuthURLParam("ui_locales", d.Language))
	}
	if len(s.config.ACRValues) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(s.config.ACRValues, " ")))
	}
	if state, err = json.Marshal(kept); err != nil {
		return "", nil, err
	}
	return s.oauth(i, d.Callback).AuthCodeURL(kept.State, options...), state, nil
}

// errAnother is an answer that belongs to another departure or issuer.
var errAnother = errors.New("oidc: an answer to another departure")

// Arrive implements signin.Redirector.
func (s *Source) Arrive(ctx context.Context, r signin.Return) (signin.Identity, error) {
	var kept departure
	if err := json.Unmarshal(r.State, &kept); err != nil || kept.Source != s.name || kept.State == "" {
		return signin.Identity{}, errors.Join(signin.ErrRefused, errAnother)
	}
	if subtle.ConstantTimeCompare([]byte(r.Query.Get("state")), []byte(kept.State)) != 1 {
		return signin.Identity{}, errors.Join(signin.ErrRefused, errAnother)
	}
	i, err := s.discover(ctx)
	if err != nil {
		return signin.Identity{}, err
	}
	from, said := r.Query["iss"]
	if said && (len(from) != 1 || from[0] != s.config.Issuer) || !said && i.claims.SendsIssuer {
		return signin.Identity{}, errors.Join(signin.ErrRefused, errAnother)
	}
	if code := r.Query.Get("error"); code != "" {
		return signin.Identity{}, answeredError(code)
	}
	return s.redeem(oidc.ClientContext(ctx, s.client), i, kept, r)
}

// answeredError is what an `error` of the issuer means (RFC 6749 §4.1.2.1,
// Core §3.1.2.6). Its words are the issuer's and go to the log alone.
func answeredError(code string) error {
	err := fmt.Errorf("oidc: the issuer answered %.40q", code)
	switch code {
	case "server_error", "temporarily_unavailable":
		return err
	default:
		return errors.Join(signin.ErrRefused, err)
	}
}

// redeem turns the code into an ID token and checks it (Core §3.1.3.7).
func (s *Source) redeem(ctx context.Context, i *issuer, kept departure, r signin.Return) (signin.Identity, error) {
	token, err := s.oauth(i, r.Callback).Exchange(ctx, r.Query.Get("code"), oauth2.VerifierOption(kept.Verifier))
	if err != nil {
		return signin.Identity{}, exchangeError(err)
	}
	raw, _ := token.Extra("id_token").(string)
	ctx, trouble := withTrouble(ctx)
	id, err := i.verifier.Verify(ctx, raw)
	if trouble.err != nil {
		return signin.Identity{}, trouble.err
	}
	if err != nil {
		return signin.Identity{}, errors.Join(signin.ErrRefused, fmt.Errorf("oidc: ID token: %w", err))
	}
	if err := s.check(id, kept, token.AccessToken); err != nil {
		return signin.Identity{}, errors.Join(signin.ErrRefused, fmt.Errorf("oidc: ID token: %w", err))
	}
	return s.identity(ctx, i, id, token)
}

// exchangeError parts a code that is not good from an issuer that does not
// work. The answer's body may say anything, so it goes nowhere.
func exchangeError(err error) error {
	refused := (*oauth2.RetrieveError)(nil)
	if !errors.As(err, &refused) {
		return fmt.Errorf("oidc: token: %w", err)
	}
	technical := fmt.Errorf("oidc: token: the issuer answered %d %.40q", refused.Response.StatusCode, refused.ErrorCode)
	if refused.ErrorCode == "invalid_grant" {
		return errors.Join(signin.ErrRefused, technical)
	}
	return technical
}

// check is what the library leaves to its caller.
func (s *Source) check(id *oidc.IDToken, kept departure, accessToken string) error {
	var claims struct {
		Party    string `json:"azp"`
		AuthTime int64  `json:"auth_time"`
	}
	if err := id.Claims(&claims); err != nil {
		return err
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(kept.Nonce)) != 1:
		return errors.New("the nonce is of another departure")
	case id.Subject == "":
		return errors.New("no subject")
	case len(id.Audience) > 1 && claims.Party == "", claims.Party != "" && claims.Party != s.config.ClientID:
		return errors.New("made for another client")
	case id.IssuedAt.After(s.now().Add(clockSkew)):
		return errors.New("issued in the future")
	case kept.Fresh && time.Unix(claims.AuthTime, 0).Before(kept.At.Add(-clockSkew)):
		return errors.New("the person was to sign in anew, and did not")
	case id.AccessTokenHash != "":
		return id.VerifyAccessToken(accessToken)
	default:
		return nil
	}
}
