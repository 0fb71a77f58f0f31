package saml_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

const (
	page     = "https://portal.example.gov/.stepgate/saml"
	entityID = "https://idp.county.test"
)

// provider is an identity provider of the test's own, which can be made to
// lie.
type provider struct {
	t    testing.TB
	pair tls.Certificate
	file string // its metadata
}

func keyPair(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	p := &provider{t: t, pair: keyPair(t), file: filepath.Join(t.TempDir(), "idp.xml")}
	p.publish()
	return p
}

// publish writes the metadata with the key of now.
func (p *provider) publish() {
	text := fmt.Sprintf(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="%s"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="%[1]s/slo"/>
<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="%[1]s/sso"/>
</IDPSSODescriptor></EntityDescriptor>`, entityID, base64.StdEncoding.EncodeToString(p.pair.Certificate[0]))
	if err := os.WriteFile(p.file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// words of the response that a test may change.
type words map[string]string

// response is the XML of an answer to a request, not signed.
func (p *provider) response(request string, change words) *etree.Document {
	p.t.Helper()
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	w := words{
		"response-issuer": entityID, "issuer": entityID, "destination": page, "recipient": page, "audience": page, "request": request, "answers": request,
		"name": "joe@county.test", "format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", "issued": at(0), "until": at(5 * time.Minute), "from": at(-time.Minute),
		"authenticated": at(-time.Minute), "class": "urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken", "id": "_" + rand.Text(), "session": "there-1",
		"status": "urn:oasis:names:tc:SAML:2.0:status:Success", "more": "",
	}
	for name, value := range change {
		w[name] = value
	}
	var pairs []string
	for name, value := range w {
		pairs = append(pairs, "{"+name+"}", value)
	}
	text := strings.NewReplacer(pairs...).Replace(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r{id}" Version="2.0" IssueInstant="{issued}" Destination="{destination}" InResponseTo="{request}"><saml:Issuer>{response-issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="{status}"/></samlp:Status><saml:Assertion ID="{id}" Version="2.0" IssueInstant="{issued}"><saml:Issuer>{issuer}</saml:Issuer><saml:Subject><saml:NameID Format="{format}">{name}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="{answers}" NotOnOrAfter="{until}" Recipient="{recipient}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{from}" NotOnOrAfter="{until}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>{more}</saml:Conditions><saml:AuthnStatement AuthnInstant="{authenticated}" SessionIndex="{session}"><saml:AuthnContext><saml:AuthnContextClassRef>{class}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="urn:oid:0.9.2342.19200300.100.1.1" FriendlyName="uid"><saml:AttributeValue>joe</saml:AttributeValue></saml:Attribute><saml:Attribute Name="displayName"><saml:AttributeValue>Joe Bloggs</saml:AttributeValue></saml:Attribute><saml:Attribute Name="mail"><saml:AttributeValue>joe@county.test</saml:AttributeValue></saml:Attribute><saml:Attribute Name="groups"><saml:AttributeValue>clerks</saml:AttributeValue><saml:AttributeValue>admins</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion></samlp:Response>`)
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		p.t.Fatal(err)
	}
	return doc
}

func assertionOf(doc *etree.Document) *etree.Element { return doc.Root().FindElement("./Assertion") }

// sign signs an element where it stands, by a key.
func sign(t testing.TB, pair tls.Certificate, el *etree.Element, method string) *etree.Element {
	t.Helper()
	ctx := dsig.NewDefaultSigningContext(dsig.TLSCertKeyStore(pair))
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := ctx.SetSignatureMethod(method); err != nil {
		t.Fatal(err)
	}
	signed, err := ctx.SignEnveloped(el)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// signedAssertion signs the assertion of a response.
func (p *provider) signedAssertion(doc *etree.Document, pair tls.Certificate, method string) *etree.Document {
	p.t.Helper()
	root, el := doc.Root(), assertionOf(doc)
	at := el.Index()
	root.RemoveChildAt(at)
	// What the assertion inherits it must have where it is signed.
	el.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
	root.InsertChildAt(at, sign(p.t, pair, el, method))
	text, err := doc.WriteToBytes()
	if err != nil {
		p.t.Fatal(err)
	}
	signed := etree.NewDocument()
	if err := signed.ReadFromBytes(text); err != nil {
		p.t.Fatal(err)
	}
	return signed
}

// answer is the form that a browser posts.
func answer(t testing.TB, doc *etree.Document, key string) url.Values {
	t.Helper()
	text, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString(text)}, "RelayState": {key}}
}

// writePair writes a certificate and its key into files.
func writePair(t testing.TB, pair tls.Certificate) (cert, key string) {
	t.Helper()
	raw, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
