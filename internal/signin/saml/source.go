package saml

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/crewjam/saml"

	"github.com/stepgate/stepgate/internal/signin"
)

// Source signs people in at an identity provider. Safe for concurrent use.
type Source struct {
	name   string
	config Config
	client *http.Client
	own    *pair // nil where nothing is signed
	now    func() time.Time

	mu      sync.Mutex
	known   *saml.EntityDescriptor
	readAt  time.Time
	failure error
	triedAt time.Time
}

var (
	_ signin.Receiver     = (*Source)(nil)
	_ signin.LogoutHearer = (*Source)(nil)
	_ signin.Ender        = (*Source)(nil)
)

// New makes a source of a configuration that Check found nothing wrong with.
// It reads the files that it names, metadata among them, and asks nobody.
func New(name string, c Config) (*Source, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Source{name: name, config: c, now: time.Now}
	var err error
	if s.client, _, err = c.Client(); err != nil {
		return nil, err
	}
	if s.own, err = c.readPair(); err != nil {
		return nil, err
	}
	if !c.remote() {
		if _, err := s.provider(context.Background()); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Name implements signin.Source.
func (s *Source) Name() string { return s.name }

// Label implements signin.Labelled.
func (s *Source) Label() string { return cmp.Or(s.config.Label, s.name) }

// departure is what one departure remembers, sealed in the browser.
type departure struct {
	Source string `json:"source"`
	Key    string `json:"key"`
	// Fresh is set where the person was to sign in anew after At.
	Fresh bool      `json:"fresh,omitempty"`
	At    time.Time `json:"at"`
}

// requestID is the ID of the request of one departure. Whoever knows it cannot
// tell the key, which is in the browser alone.
func requestID(key string) string {
	sum := sha256.Sum256([]byte("saml request " + key))
	return "id-" + hex.EncodeToString(sum[:20])
}

// Depart implements signin.Redirector. Its errors are technical: the provider's
// metadata cannot be read, or names no place to go.
func (s *Source) Depart(ctx context.Context, d signin.Departure) (string, []byte, error) {
	provider, err := s.provider(ctx)
	if err != nil {
		return "", nil, err
	}
	party, err := s.party(d.Callback, provider)
	if err != nil {
		return "", nil, err
	}
	if d.Fresh {
		party.ForceAuthn = &d.Fresh
	}
	to := party.GetSSOBindingLocation(saml.HTTPRedirectBinding)
	if to == "" {
		return "", nil, errors.New("saml: the provider's metadata has no address to send browsers to (SingleSignOnService, HTTP-Redirect)")
	}
	request, err := party.MakeAuthenticationRequest(to, saml.HTTPRedirectBinding, saml.HTTPPostBinding)
	if err != nil {
		return "", nil, fmt.Errorf("saml: request: %w", err)
	}
	request.ID = requestID(d.Key)
	location, err := request.Redirect(d.Key, party)
	if err != nil {
		return "", nil, fmt.Errorf("saml: request: %w", err)
	}
	state, err := json.Marshal(departure{Source: s.name, Key: d.Key, Fresh: d.Fresh, At: s.now().UTC()})
	if err != nil {
		return "", nil, err
	}
	return location.String(), state, nil
}

// maxAgain is how long, at most, the library would take the same assertion
// again: its issuing may be so long ago, and the clocks so far apart.
func maxAgain() time.Duration { return saml.MaxIssueDelay + 2*saml.MaxClockSkew }

// Receive implements signin.Receiver.
func (s *Source) Receive(ctx context.Context, page string, form url.Values) (signin.Answer, error) {
	text, err := base64.StdEncoding.DecodeString(form.Get("SAMLResponse"))
	if err != nil || len(text) == 0 {
		return signin.Answer{}, fmt.Errorf("%w: no SAML response", signin.ErrRefused)
	}
	kind, issuer := rootOf(text)
	if kind == "LogoutResponse" {
		return signin.Answer{}, signin.ErrSignedOut
	}
	provider, err := s.provider(ctx)
	if err != nil {
		return signin.Answer{}, err
	}
	if issuer != "" && issuer != provider.EntityID {
		return signin.Answer{}, signin.ErrNobody
	}
	key := form.Get("RelayState")
	if key == "" {
		return signin.Answer{}, fmt.Errorf("%w: an answer that nobody asked for", signin.ErrRefused)
	}
	assertion, err := s.read(page, provider, text, key)
	if err != nil {
		if newer := s.newer(ctx, provider); newer != nil && newer.EntityID == provider.EntityID {
			assertion, err = s.read(page, newer, text, key)
		}
	}
	if err != nil {
		return signin.Answer{}, errors.Join(signin.ErrRefused, fmt.Errorf("saml: response: %w", private(err)))
	}
	who, err := s.identity(page, assertion)
	if err != nil {
		return signin.Answer{}, err
	}
	return signin.Answer{Identity: who, Key: key, ID: assertion.ID, Until: s.now().Add(maxAgain())}, nil
}

// read is the assertion of a response to the request of a departure, where the
// provider has made it.
func (s *Source) read(page string, provider *saml.EntityDescriptor, text []byte, key string) (*saml.Assertion, error) {
	party, err := s.party(page, provider)
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(page)
	if err != nil {
		return nil, err
	}
	return party.ParseXMLResponse(text, []string{requestID(key)}, *at)
}

// private is what the library does not say in public. The answer's own text
// stays out of it.
func private(err error) error {
	if invalid := (*saml.InvalidResponseError)(nil); errors.As(err, &invalid) {
		return invalid.PrivateErr
	}
	return err
}

// rootOf is what a message is, and who it says it is from: "" where it does not
// say so at its place. It decides only whose answer it is taken for.
func rootOf(text []byte) (kind, issuer string) {
	var message struct {
		XMLName xml.Name
		Issuer  string `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
	}
	if xml.Unmarshal(text, &message) != nil {
		return "", ""
	}
	return message.XMLName.Local, strings.TrimSpace(message.Issuer)
}

// errAnother is an answer that belongs to another departure.
var errAnother = errors.New("saml: an answer to another departure")

// Arrive implements signin.Redirector.
func (s *Source) Arrive(_ context.Context, r signin.Return) (signin.Identity, error) {
	var kept departure
	if r.Answer == nil || json.Unmarshal(r.State, &kept) != nil || kept.Source != s.name || kept.Key == "" || kept.Key != r.Answer.Key {
		return signin.Identity{}, errors.Join(signin.ErrRefused, errAnother)
	}
	if kept.Fresh && r.Answer.Identity.At.Before(kept.At.Add(-freshSkew)) {
		return signin.Identity{}, errors.Join(signin.ErrRefused, errors.New("saml: the person was to sign in anew, and did not"))
	}
	return r.Answer.Identity, nil
}

// freshSkew is how far the provider's clock may be behind ours where somebody
// was to sign in anew.
const freshSkew = time.Minute

// Metadata implements signin.Receiver.
func (s *Source) Metadata(page string) ([]byte, error) {
	party, err := s.party(page, nil)
	if err != nil {
		return nil, err
	}
	return xml.MarshalIndent(party.Metadata(), "", "  ")
}
