package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/saml"
)

func open(t testing.TB, p *provider, change ...func(*saml.Config)) *saml.Source {
	t.Helper()
	c := saml.Config{Metadata: p.file}
	for _, f := range change {
		f(&c)
	}
	s, err := saml.New("saml", c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// left is a browser that is at the provider.
type left struct {
	key, request string
	location     *url.URL
	state        []byte
	xml          string
}

func depart(t testing.TB, s *saml.Source, fresh bool) left {
	t.Helper()
	l := left{key: rand.Text()}
	location, state, err := s.Depart(t.Context(), signin.Departure{Key: l.key, Callback: page, Fresh: fresh})
	if err != nil {
		t.Fatal(err)
	}
	if l.location, err = url.Parse(location); err != nil || !strings.HasPrefix(location, entityID+"/sso?") || l.location.Query().Get("RelayState") != l.key {
		t.Fatalf("sent to %s, %v", location, err)
	}
	l.state, l.xml = state, inflated(t, l.location.Query().Get("SAMLRequest"))
	var request struct {
		ID string `xml:",attr"`
	}
	if err := xml.Unmarshal([]byte(l.xml), &request); err != nil || request.ID == "" {
		t.Fatal(l.xml, err)
	}
	l.request = request.ID
	return l
}

func inflated(t testing.TB, text string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// walk goes there and comes back with what the provider makes of the response.
func walk(t testing.TB, s *saml.Source, p *provider, change words, made func(*etree.Document) *etree.Document) (signin.Identity, error) {
	t.Helper()
	l := depart(t, s, false)
	doc := p.response(l.request, change)
	if made == nil {
		doc = p.signedAssertion(doc, p.pair, dsig.RSASHA256SignatureMethod)
	} else {
		doc = made(doc)
	}
	a, err := s.Receive(t.Context(), page, answer(t, doc, l.key))
	if err != nil {
		return signin.Identity{}, err
	}
	return s.Arrive(t.Context(), signin.Return{Callback: page, State: l.state, Answer: &a})
}

func TestSignInReadsThePerson(t *testing.T) {
	p := newProvider(t)
	s := open(t, p)
	want := signin.Identity{
		Source: "saml", Subject: "joe@county.test", Username: "joe", Name: "Joe Bloggs", Email: "joe@county.test", Groups: []string{"admins", "clerks"},
		GroupsKnown: true, MayCreate: true, IssuerSession: "there-1",
	}
	for name, made := range map[string]func(*etree.Document) *etree.Document{
		"assertion signed": nil,
		"response signed": func(doc *etree.Document) *etree.Document {
			doc.SetRoot(sign(t, p.pair, doc.Root(), dsig.RSASHA256SignatureMethod))
			return doc
		},
	} {
		who, err := walk(t, s, p, nil, made)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, who, cmpopts.IgnoreFields(signin.Identity{}, "At", "Note")); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		if age := time.Since(who.At); age < 30*time.Second || age > 2*time.Minute {
			t.Errorf("%s: signed in %s ago", name, age)
		}
	}
}

func TestALyingProviderSignsNobodyIn(t *testing.T) {
	p := newProvider(t)
	stranger := keyPair(t)
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	signedBy := func(method string) func(*etree.Document) *etree.Document {
		return func(doc *etree.Document) *etree.Document { return p.signedAssertion(doc, p.pair, method) }
	}
	for name, lie := range map[string]struct {
		change words
		made   func(*etree.Document) *etree.Document
	}{
		"not signed": {nil, func(doc *etree.Document) *etree.Document { return doc }},
		"another's key": {nil, func(doc *etree.Document) *etree.Document {
			return p.signedAssertion(doc, stranger, dsig.RSASHA256SignatureMethod)
		}},
		"SHA-1":           {nil, signedBy(dsig.RSASHA1SignatureMethod)},
		"wrong audience":  {words{"audience": "https://other.example.gov/.stepgate/saml"}, nil},
		"wrong recipient": {words{"recipient": "https://other.example.gov/.stepgate/saml"}, nil},
		"wrong address":   {words{"destination": "https://other.example.gov/.stepgate/saml"}, nil},
		"wrong issuer":    {words{"issuer": "https://other.county.test"}, nil},
		"another request": {words{"request": "id-1", "answers": "id-1"}, nil},
		"another's proof": {words{"answers": "id-1"}, nil},
		"no request":      {words{"request": "", "answers": ""}, nil},
		"expired":         {words{"until": at(-10 * time.Minute)}, nil},
		"of long ago":     {words{"issued": at(-time.Hour)}, nil},
		"of the future":   {words{"from": at(time.Hour), "until": at(2 * time.Hour)}, nil},
		"refused there":   {words{"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"}, nil},
		"unknown terms":   {words{"more": `<x:Only xmlns:x="urn:x"/>`}, nil},
		"changed": {nil, func(doc *etree.Document) *etree.Document {
			return renamed(signedBy(dsig.RSASHA256SignatureMethod)(doc))
		}},
	} {
		if who, err := walk(t, open(t, p), p, lie.change, lie.made); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s: %+v, %v; want ErrRefused", name, who, err)
		}
	}
	if _, err := walk(t, open(t, p), p, words{"response-issuer": "https://other.county.test"}, nil); !errors.Is(err, signin.ErrNobody) {
		t.Errorf("another provider's answer: %v; want ErrNobody", err)
	}
	if _, err := walk(t, open(t, p), p, words{"format": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}, nil); err == nil || errors.Is(err, signin.ErrRefused) {
		t.Errorf("a name that changes each time: %v; want a technical error", err)
	}
}

// renamed names somebody else under the same signature.
func renamed(doc *etree.Document) *etree.Document {
	assertionOf(doc).FindElement(".//NameID").SetText("owner@county.test")
	return doc
}

// TestASignatureThatIsWrappedCoversNothingElse puts an assertion about the
// owner into every place beside, around or within the signed one.
func TestASignatureThatIsWrappedCoversNothingElse(t *testing.T) {
	p := newProvider(t)
	s := open(t, p)
	for name, wrap := range map[string]func(root, signed, forged *etree.Element){
		"beside, before": func(root, signed, forged *etree.Element) { root.InsertChildAt(signed.Index(), forged) },
		"beside, after":  func(root, _, forged *etree.Element) { root.AddChild(forged) },
		"of one ID": func(root, signed, forged *etree.Element) {
			forged.CreateAttr("ID", signed.SelectAttrValue("ID", ""))
			root.InsertChildAt(signed.Index(), forged)
		},
		"around": func(root, signed, forged *etree.Element) {
			root.RemoveChild(signed)
			forged.AddChild(signed)
			root.AddChild(forged)
		},
		"around its signature": func(root, signed, forged *etree.Element) {
			signature := signed.FindElement("./Signature")
			signed.RemoveChild(signature)
			root.RemoveChild(signed)
			forged.InsertChildAt(1, signature)
			signature.CreateElement("ds:Object").AddChild(signed)
			root.AddChild(forged)
		},
		"in extensions": func(root, signed, forged *etree.Element) {
			root.RemoveChild(signed)
			root.CreateElement("samlp:Extensions").AddChild(signed)
			root.AddChild(forged)
		},
		"within": func(_, signed, forged *etree.Element) {
			signed.FindElement("./Signature").CreateElement("ds:Object").AddChild(forged)
		},
	} {
		who, err := walk(t, s, p, nil, func(doc *etree.Document) *etree.Document {
			forged := assertionOf(renamed(doc)).Copy()
			forged.CreateAttr("ID", "_forged")
			assertionOf(doc).FindElement(".//NameID").SetText("joe@county.test")
			doc = p.signedAssertion(doc, p.pair, dsig.RSASHA256SignatureMethod)
			wrap(doc.Root(), assertionOf(doc), forged)
			return doc
		})
		if err == nil && who.Subject != "joe@county.test" || err != nil && !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
}

func TestACommentDoesNotCutANameShort(t *testing.T) {
	p := newProvider(t)
	who, err := walk(t, open(t, p), p, words{"name": "owner@county.test.evil.test"}, func(doc *etree.Document) *etree.Document {
		doc = p.signedAssertion(doc, p.pair, dsig.RSASHA256SignatureMethod)
		// A signature over XML without comments still holds with one in it.
		name := assertionOf(doc).FindElement(".//NameID")
		name.SetText("owner@county.test")
		name.CreateComment("")
		name.CreateText(".evil.test")
		return doc
	})
	if err == nil && who.Subject != "owner@county.test.evil.test" || err != nil && !errors.Is(err, signin.ErrRefused) {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestXMLThatIsMadeToHurtIsRefusedSoon(t *testing.T) {
	p := newProvider(t)
	s := open(t, p)
	for name, text := range map[string]string{
		"entities": `<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">&b;</samlp:Response>`,
		"a file":   `<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>`,
		"depth":    strings.Repeat("<a>", 100000),
		"breadth":  `<r>` + strings.Repeat(`<a xmlns:b="c"/>`, 50000) + `</r>`,
		"nothing":  "<",
	} {
		began := time.Now()
		form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(text))}, "RelayState": {"x"}}
		if a, err := s.Receive(t.Context(), page, form); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		if took := time.Since(began); took > 90*time.Second {
			t.Errorf("%s: %s", name, took)
		}
	}
}

func TestAnAnswerBelongsToOneDeparture(t *testing.T) {
	p := newProvider(t)
	s := open(t, p)
	one, other := depart(t, s, false), depart(t, s, false)
	form := answer(t, p.signedAssertion(p.response(one.request, nil), p.pair, dsig.RSASHA256SignatureMethod), one.key)
	a, err := s.Receive(t.Context(), page, form)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := s.Arrive(t.Context(), signin.Return{State: other.state, Answer: &a}); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("in another browser: %+v, %v", who, err)
	}
	if who, err := s.Arrive(t.Context(), signin.Return{State: one.state}); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("without an answer: %+v, %v", who, err)
	}
	form.Set("RelayState", other.key)
	if a, err := s.Receive(t.Context(), page, form); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("to another departure: %+v, %v", a, err)
	}
}

func TestAFreshSignInIsAskedForAndChecked(t *testing.T) {
	p := newProvider(t)
	s := open(t, p)
	for authenticated, in := range map[time.Duration]bool{0: true, -time.Hour: false} {
		l := depart(t, s, true)
		if !strings.Contains(l.xml, `ForceAuthn="true"`) {
			t.Fatalf("asked with %s", l.xml)
		}
		doc := p.response(l.request, words{"authenticated": time.Now().Add(authenticated).UTC().Format(time.RFC3339)})
		a, err := s.Receive(t.Context(), page, answer(t, p.signedAssertion(doc, p.pair, dsig.RSASHA256SignatureMethod), l.key))
		if err != nil {
			t.Fatal(err)
		}
		if who, err := s.Arrive(t.Context(), signin.Return{State: l.state, Answer: &a}); (err == nil) != in {
			t.Errorf("signed in %s ago: %+v, %v", -authenticated, who, err)
		}
	}
}

func TestTheContextCountsOnlyWhereItIsTrusted(t *testing.T) {
	p := newProvider(t)
	for want, trust := range map[string]signin.Trust{"": nil, "totp": signin.StandardTrust(), "webauthn": {"urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken": "webauthn"}} {
		who, err := walk(t, open(t, p, func(c *saml.Config) { c.Trust = trust }), p, nil, nil)
		if err != nil || strings.Join(who.Proved, " ") != want {
			t.Errorf("%v, %v; want %s", who.Proved, err, want)
		}
	}
	asking := open(t, p, func(c *saml.Config) { c.Contexts = []string{"urn:gold"} })
	if who, err := walk(t, asking, p, nil, nil); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("another context than was asked for: %+v, %v", who, err)
	}
	if _, err := walk(t, asking, p, words{"class": "urn:gold"}, nil); err != nil {
		t.Errorf("the context that was asked for: %v", err)
	}
}

func TestLogoutGoesBothWaysAndIsSigned(t *testing.T) {
	p := newProvider(t)
	cert, key := writePair(t, p.pair) // one pair serves both sides here
	s := open(t, p, func(c *saml.Config) { c.Certificate, c.Key = cert, key })
	who, err := walk(t, s, p, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	location, err := s.SignOut(t.Context(), who.Note, "")
	if err != nil || !strings.HasPrefix(location, entityID+"/slo?") || !strings.Contains(location, "Signature=") {
		t.Fatalf("%s, %v", location, err)
	}
	at, _ := url.Parse(location)
	if text := inflated(t, at.Query().Get("SAMLRequest")); !strings.Contains(text, ">joe@county.test<") || !strings.Contains(text, ">there-1<") {
		t.Errorf("asked with %s", text)
	}
	if location, err := open(t, p).SignOut(t.Context(), who.Note, ""); location != "" || err != nil {
		t.Errorf("without a key: %s, %v", location, err)
	}

	// The provider's own request: our request with the addresses of theirs.
	theirs := strings.NewReplacer(entityID+"/slo", page, page+"<", entityID+"<").Replace(inflated(t, at.Query().Get("SAMLRequest")))
	doc := etree.NewDocument()
	if err := doc.ReadFromString(theirs); err != nil {
		t.Fatal(err)
	}
	post := func(el *etree.Element) *http.Request {
		out := etree.NewDocument()
		out.SetRoot(el)
		text, _ := out.WriteToBytes()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, page, strings.NewReader(url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(text)}, "RelayState": {"theirs"}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.ParseForm()
		return r
	}
	if ended, err := s.HearLogout(post(doc.Root().Copy()), page); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("not signed: %+v, %v", ended, err)
	}
	if ended, err := s.HearLogout(post(sign(t, keyPair(t), doc.Root().Copy(), dsig.RSASHA256SignatureMethod)), page); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("another's key: %+v, %v", ended, err)
	}
	ended, err := s.HearLogout(post(sign(t, p.pair, doc.Root().Copy(), dsig.RSASHA256SignatureMethod)), page)
	if err != nil || ended.IssuerSession != "there-1" || ended.Subject != "joe@county.test" || !strings.HasPrefix(ended.Answer, entityID+"/slo?") || !strings.Contains(ended.Answer, "RelayState=theirs") {
		t.Errorf("%+v, %v", ended, err)
	}
}

func TestTheAnswerToASignOutSignsNobodyIn(t *testing.T) {
	p := newProvider(t)
	text := `<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="x" Version="2.0"/>`
	form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(text))}, "RelayState": {"x"}}
	if a, err := open(t, p).Receive(t.Context(), page, form); !errors.Is(err, signin.ErrSignedOut) {
		t.Errorf("%+v, %v", a, err)
	}
}
