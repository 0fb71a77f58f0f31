package saml

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"
	dsig "github.com/russellhaering/goxmldsig"
)

const (
	// rereadAfter is how old metadata from an address may be.
	rereadAfter = time.Hour
	// retryAfter is how long an address that could not be read is left alone.
	retryAfter = time.Second
	// rollAfter is how old metadata must be to be read anew because of a message
	// that its keys have not signed, which anybody can send.
	rollAfter = 10 * time.Second
)

// provider reads the provider's metadata, once in a while. Where it cannot be
// read, what was read before still holds, until its own end.
func (s *Source) provider(ctx context.Context) (*saml.EntityDescriptor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.known != nil && (!s.config.remote() || now.Sub(s.readAt) < rereadAfter) {
		return s.known, nil
	}
	if s.failure != nil && now.Sub(s.triedAt) < retryAfter {
		return s.knownOr(s.failure)
	}
	found, err := s.readMetadata(ctx)
	s.failure, s.triedAt = err, now
	if err != nil {
		return s.knownOr(fmt.Errorf("saml: metadata: %w", err))
	}
	s.known, s.readAt = found, now
	return found, nil
}

// newer is the provider's metadata, read anew because of a message that by the
// metadata it was held to is not the provider's: it may have other keys by now.
// Nil where there is none newer.
func (s *Source) newer(ctx context.Context, held *saml.EntityDescriptor) *saml.EntityDescriptor {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.known != held {
		return s.known
	}
	if now.Sub(s.triedAt) < rollAfter {
		return nil
	}
	found, err := s.readMetadata(ctx)
	s.failure, s.triedAt = err, now
	if err != nil {
		return nil
	}
	s.known, s.readAt = found, now
	return found
}

func (s *Source) knownOr(err error) (*saml.EntityDescriptor, error) {
	if s.known != nil {
		return s.known, nil
	}
	return nil, err
}

func (s *Source) readMetadata(ctx context.Context) (*saml.EntityDescriptor, error) {
	text, err := s.metadataText(ctx)
	if err != nil {
		return nil, err
	}
	signers, err := s.metadataSigners()
	if err != nil {
		return nil, err
	}
	switch id := s.config.EntityID; {
	case signers != nil && id != "":
		return samlsp.ParseSignedMetadataByEntityID(text, id, signers)
	case signers != nil:
		return samlsp.ParseSignedMetadata(text, signers)
	case id != "":
		return samlsp.ParseMetadataByEntityID(text, id)
	default:
		return samlsp.ParseMetadata(text)
	}
}

func (s *Source) metadataText(ctx context.Context) ([]byte, error) {
	if !s.config.remote() {
		return readFile(s.config.Metadata)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.Metadata, nil)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the provider answered %d", response.StatusCode)
	}
	return readBounded(response.Body)
}

func (s *Source) metadataSigners() ([]*x509.Certificate, error) {
	if s.config.MetadataCertificate == "" {
		return nil, nil
	}
	text, err := readFile(s.config.MetadataCertificate)
	if err != nil {
		return nil, fmt.Errorf("metadata_certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("metadata_certificate: no certificate in it")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("metadata_certificate: %w", err)
	}
	return []*x509.Certificate{certificate}, nil
}

// party is the gateway as this provider sees it. page is the absolute URL of
// the page that is metadata, consumer of assertions and end of logouts at once.
func (s *Source) party(page string, provider *saml.EntityDescriptor) (*saml.ServiceProvider, error) {
	at, err := url.Parse(page)
	if err != nil {
		return nil, err
	}
	party := &saml.ServiceProvider{
		EntityID: page, MetadataURL: *at, AcsURL: *at, SloURL: *at, IDPMetadata: provider, AuthnNameIDFormat: saml.UnspecifiedNameIDFormat,
		LogoutBindings:                   []string{saml.HTTPRedirectBinding},
		AssertionConsumerServiceBindings: []string{saml.HTTPPostBinding},
		RejectSHA1Signatures:             true, RejectUnknownConditions: true, RejectExpiredIDPMetadata: true, RequireSignedResponseForCBC: true,
	}
	if len(s.config.Contexts) > 0 {
		party.RequestedAuthnContext = &saml.RequestedAuthnContext{Comparison: "exact", AuthnContextClassRefs: s.config.Contexts}
		party.ValidateAuthnContextClassRef = true
	}
	if s.own != nil {
		party.Key, party.Certificate, party.SignatureMethod = s.own.key, s.own.certificate, signatureMethod(s.own.key)
	}
	return party, nil
}

func signatureMethod(key crypto.Signer) string {
	switch key.Public().(type) {
	case *rsa.PublicKey:
		return dsig.RSASHA256SignatureMethod
	case *ecdsa.PublicKey:
		return dsig.ECDSASHA256SignatureMethod
	default:
		return ""
	}
}
