package legacytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// MailOptions say how the mail server behaves. The zero value accepts all.
type MailOptions struct {
	// Refuse is the SMTP status with which every recipient is refused: 550 is
	// for good, 450 for now. Zero refuses nobody.
	Refuse int
	// Says is the text of that refusal, with its enhanced code in front
	// ("5.7.1 Relay access denied"); empty is "no such mailbox here", 5.1.1.
	Says string
	// UTF8 offers SMTPUTF8.
	UTF8 bool
	// WithoutTLS offers no STARTTLS, and takes a password all the same.
	WithoutTLS bool
}

// Mail is a mail server in this process. It wants STARTTLS (unless told
// otherwise) and AUTH PLAIN before it takes a message, and keeps all messages.
type Mail struct {
	Addr     string         // 127.0.0.1:PORT
	Host     string         // the certificate's name, localhost; 127.0.0.1 is in it too
	Account  Account        // for AUTH PLAIN
	Roots    *x509.CertPool // trusts the server's certificate
	RootsPEM []byte         // the same for a file

	options MailOptions
	mu      sync.Mutex
	kept    []Message
	arrived chan struct{} // closed and replaced at each message
}

// Message is one mail that the server took.
type Message struct {
	From string
	To   []string
	Data string // headers and body, as sent
	TLS  bool   // whether it came over TLS
	HELO string // what the client called itself
	UTF8 bool   // whether it asked for SMTPUTF8
}

// Messages returns what has arrived so far, oldest first.
func (m *Mail) Messages() []Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.kept)
}

// Wait returns the first n messages once that many have arrived, and fails the
// test when they do not within ten seconds.
func (m *Mail) Wait(tb testing.TB, n int) []Message {
	tb.Helper()
	limit := time.After(time.Minute) // an outbox waits before it tries again
	for {
		m.mu.Lock()
		kept, more := m.kept, m.arrived
		m.mu.Unlock()
		if len(kept) >= n {
			return slices.Clone(kept[:n])
		}
		select {
		case <-more:
		case <-limit:
			tb.Fatalf("legacytest: %d messages arrived, want %d", len(kept), n)
		}
	}
}

// StartMail runs a mail server on a free port until the test ends.
func StartMail(tb testing.TB, o MailOptions) *Mail {
	tb.Helper()
	certificate, roots, err := selfSigned("localhost")
	if err != nil {
		tb.Fatalf("legacytest: mail: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("legacytest: mail: %v", err)
	}
	m := &Mail{
		Addr: l.Addr().String(), Host: "localhost", Account: Account{"portal", rand.Text()},
		Roots: x509.NewCertPool(), RootsPEM: roots, options: o, arrived: make(chan struct{}),
	}
	m.Roots.AppendCertsFromPEM(roots)
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &mailSession{mail: m, conn: c}, nil
	}))
	srv.Domain = "localhost"
	srv.EnableSMTPUTF8 = o.UTF8
	srv.ReadTimeout, srv.WriteTimeout = 10*time.Second, 10*time.Second
	srv.MaxMessageBytes = 1 << 20
	srv.ErrorLog = log.New(io.Discard, "", 0) // a client that hangs up is no news
	if o.WithoutTLS {
		srv.AllowInsecureAuth = true
	} else {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	tb.Cleanup(func() {
		_ = srv.Close()
		if err := <-served; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			tb.Errorf("legacytest: mail: %v", err)
		}
	})
	return m
}

// mailSession is one connection's dialogue.
type mailSession struct {
	mail   *Mail
	conn   *smtp.Conn
	authed bool
	next   Message
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if (Account{username, password}) != s.mail.Account {
			return smtp.ErrAuthFailed
		}
		s.authed = true
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, o *smtp.MailOptions) error {
	if !s.authed {
		return smtp.ErrAuthRequired
	}
	_, encrypted := s.conn.TLSConnectionState()
	s.next = Message{From: from, TLS: encrypted, HELO: s.conn.Hostname(), UTF8: o != nil && o.UTF8}
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if code := s.mail.options.Refuse; code != 0 {
		if s.mail.options.Says != "" {
			return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: s.mail.options.Says}
		}
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "no such mailbox here"}
	}
	s.next.To = append(s.next.To, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.next.Data = string(data)
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	s.mail.kept = append(s.mail.kept, s.next)
	close(s.mail.arrived)
	s.mail.arrived = make(chan struct{})
	return nil
}

func (s *mailSession) Reset()        { s.next = Message{} }
func (s *mailSession) Logout() error { return nil }

// selfSigned makes a certificate for host and 127.0.0.1 that is its own root.
func selfSigned(host string) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: host},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{host},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, text, nil
}
