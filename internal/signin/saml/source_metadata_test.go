package saml_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/saml"
)

func TestKeysOfTheProviderAreReadAnew(t *testing.T) {
	p := newProvider(t)
	reads := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads++
		http.ServeFile(w, r, p.file)
	}))
	t.Cleanup(server.Close)
	s := open(t, p, func(c *saml.Config) { c.Metadata = server.URL })
	if _, err := walk(t, s, p, nil, nil); err != nil || reads != 1 {
		t.Fatalf("%v after %d readings", err, reads)
	}
	p.pair = keyPair(t)
	p.publish()
	if _, err := walk(t, open(t, p, func(c *saml.Config) { c.Metadata = server.URL }), p, nil, nil); err != nil {
		t.Error(err)
	}
	if err := os.Remove(p.file); err != nil {
		t.Fatal(err)
	}
	_, _, err := open(t, p, func(c *saml.Config) { c.Metadata = server.URL }).Depart(t.Context(), signin.Departure{Key: "k", Callback: page})
	if err == nil || errors.Is(err, signin.ErrRefused) {
		t.Errorf("a provider that is down: %v; want a technical error", err)
	}
}

func TestAKeyThatWasReplacedIsFoundWhenItSigns(t *testing.T) {
	p := newProvider(t)
	reads := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads++
		http.ServeFile(w, r, p.file)
	}))
	t.Cleanup(server.Close)
	for name, change := range map[string]func(*saml.Config){
		"a file": func(*saml.Config) {}, "an address": func(c *saml.Config) { c.Metadata = server.URL },
	} {
		s := open(t, p, change)
		if _, err := walk(t, s, p, nil, nil); err != nil {
			t.Fatal(err)
		}
		p.pair = keyPair(t)
		p.publish()
		if who, err := walk(t, s, p, nil, nil); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s, at once: %+v, %v", name, who, err)
		}
		s.Later(11 * time.Second)
		if _, err := walk(t, s, p, nil, nil); err != nil {
			t.Errorf("%s, a little later: %v", name, err)
		}
		// A stranger's message has it read once in a while, and no more.
		s.Later(11 * time.Second)
		before := reads
		for range 5 {
			stranger := keyPair(t)
			if who, err := walk(t, s, p, nil, func(doc *etree.Document) *etree.Document {
				return p.signedAssertion(doc, stranger, dsig.RSASHA256SignatureMethod)
			}); !errors.Is(err, signin.ErrRefused) {
				t.Errorf("%s, a stranger's key: %+v, %v", name, who, err)
			}
		}
		if reads > before+1 {
			t.Errorf("%s: five messages of a stranger's had it read %d times", name, reads-before)
		}
	}
}

// TestAProviderWhoseMetadataIsNoUseIsNoRefusal has metadata that does not come,
// never ends, is somebody else's, is over, or is not what was signed.
func TestAProviderWhoseMetadataIsNoUseIsNoRefusal(t *testing.T) {
	p := newProvider(t)
	good, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := writePair(t, keyPair(t))
	hangs := make(chan struct{})
	t.Cleanup(func() { close(hangs) })
	old := strings.Replace(string(good), "<EntityDescriptor ", `<EntityDescriptor validUntil="2020-01-01T00:00:00Z" `, 1)
	for name, c := range map[string]struct {
		serve  http.HandlerFunc
		change func(*saml.Config)
	}{
		"slow": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-hangs:
			}
		}, func(c *saml.Config) { c.Timeout = 200 * time.Millisecond }},
		"down": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, nil},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, nil},
		"a page": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<html><body>Sign in to the Wi-Fi</body></html>")
		}, nil},
		"another":  {func(w http.ResponseWriter, _ *http.Request) { w.Write(good) }, func(c *saml.Config) { c.EntityID = "https://other.example.gov" }},
		"unsigned": {func(w http.ResponseWriter, _ *http.Request) { w.Write(good) }, func(c *saml.Config) { c.MetadataCertificate = cert }},
		"over":     {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, old) }, nil},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<EntityDescriptor>")
			for block := bytes.Repeat([]byte("<a/>"), 1<<16); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.serve)
			t.Cleanup(server.CloseClientConnections)
			s := open(t, p, func(config *saml.Config) {
				config.Metadata = server.URL
				if c.change != nil {
					c.change(config)
				}
			})
			_, _, err := s.Depart(t.Context(), signin.Departure{Key: "k", Callback: page})
			if name == "over" && err == nil { // the answer is what is not believed
				l := depart(t, s, false)
				form := answer(t, p.signedAssertion(p.response(l.request, nil), p.pair, dsig.RSASHA256SignatureMethod), l.key)
				if a, err := s.Receive(t.Context(), page, form); err == nil {
					t.Errorf("%+v", a)
				}
				return
			}
			if err == nil || errors.Is(err, signin.ErrRefused) {
				t.Errorf("%v; want a technical error", err)
			}
		})
	}
}

func TestTheMetadataSaysWhereAnswersGo(t *testing.T) {
	p := newProvider(t)
	cert, key := writePair(t, keyPair(t))
	for _, s := range []*saml.Source{open(t, p), open(t, p, func(c *saml.Config) { c.Certificate, c.Key = cert, key })} {
		text, err := s.Metadata(page)
		if err != nil || !strings.Contains(string(text), `entityID="`+page+`"`) || !strings.Contains(string(text), `Location="`+page+`"`) || !strings.Contains(string(text), `WantAssertionsSigned="true"`) {
			t.Errorf("%s, %v", text, err)
		}
	}
}

func TestCheckRefusesWhatWouldLeaveADoorOpen(t *testing.T) {
	for name, c := range map[string]saml.Config{
		"nothing":    {},
		"plain http": {Metadata: "http://idp.example.gov/metadata"},
		"half a key": {Metadata: "https://idp.example.gov/metadata", Key: "key.pem"},
	} {
		if c.Check() == nil {
			t.Errorf("%s: nothing is wrong with it", name)
		}
	}
	if err := (&saml.Config{Metadata: "https://idp.example.gov/metadata"}).Check(); err != nil {
		t.Error(err)
	}
}
