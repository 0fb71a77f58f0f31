package push

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/SherClockHolmes/webpush-go"
)

// Errors of endpoints and of services.
var (
	// ErrEndpoint says that nothing is sent to such an endpoint.
	ErrEndpoint = errors.New("push: an endpoint that nothing is sent to")
	// ErrGone says that the subscription is no more (RFC 8030 §7.3).
	ErrGone = errors.New("push: the subscription is gone")
)

const (
	timeout = 10 * time.Second
	// timeToLive is how long a service keeps a message for a browser that is
	// not there: as long as what waits.
	timeToLive = 10 * time.Minute
	// grace is how long the end waits for messages that are under way.
	grace = 3 * time.Second
	// atOnce is how many messages are under way; more are not sent.
	atOnce = 32
	// maxEndpoint bounds an endpoint's length, in bytes.
	maxEndpoint = 1024
)

// Subscription is where a service takes messages for one browser, and the keys
// that they are encrypted to (RFC 8291 §3.1), base64url.
type Subscription struct{ Endpoint, P256DH, Auth string }

// Sender sends. Safe for concurrent use.
type Sender struct {
	// Contact is how a service reaches who sends: an https or mailto address
	// (RFC 8292 §2.1).
	Contact string

	key     *ecdsa.PrivateKey
	hosts   []string
	client  *http.Client
	running chan struct{}
	// lasting ends what is under way when it has lasted too long after the end.
	lasting context.Context
	cut     context.CancelFunc
}

// New makes a sender. derive gives 32 bytes for a number, the same each time:
// the key by which services know this sender comes of them. hosts are the only
// services that messages go to, names or `*.suffix`; none for all.
func New(contact string, derive func(n byte) []byte, hosts []string) (*Sender, error) {
	s := &Sender{Contact: contact, hosts: hosts, running: make(chan struct{}, atOnce)}
	s.lasting, s.cut = context.WithCancel(context.Background())
	for n := range byte(8) { // a number above the curve's order comes once in 2³²
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), derive(n)); err == nil {
			s.key = key
			break
		}
	}
	if s.key == nil {
		return nil, errors.New("push: no key")
	}
	s.client = &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DialContext: s.dial, TLSHandshakeTimeout: timeout, MaxIdleConns: atOnce, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
	}
	return s, nil
}

// PublicKey is what browsers subscribe with, base64url.
func (s *Sender) PublicKey() string {
	point, err := s.key.PublicKey.Bytes()
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(point)
}

// Check tells whether messages would be sent to a subscription, as far as it
// says so itself: all errors are ErrEndpoint.
func (s *Sender) Check(to Subscription) error {
	u, err := url.Parse(to.Endpoint)
	switch {
	case err != nil, len(to.Endpoint) > maxEndpoint, u.Scheme != "https", u.Host == "", u.User != nil, u.Fragment != "":
		return ErrEndpoint
	case len(s.hosts) > 0 && !s.listed(u.Hostname()):
		return fmt.Errorf("%w: %s is not on the list", ErrEndpoint, u.Hostname())
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !public(addr) && !s.named(u.Hostname()) {
		return fmt.Errorf("%w: %s is no public address", ErrEndpoint, addr)
	}
	for text, size := range map[string]int{to.P256DH: 65, to.Auth: 16} {
		if raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "=")); err != nil || len(raw) != size {
			return fmt.Errorf("%w: its keys cannot be read", ErrEndpoint)
		}
	}
	return nil
}

func (s *Sender) listed(host string) bool {
	host = strings.ToLower(host)
	return slices.ContainsFunc(s.hosts, func(h string) bool {
		suffix, wild := strings.CutPrefix(strings.ToLower(h), "*")
		return wild && strings.HasSuffix(host, suffix) && len(host) > len(suffix) || !wild && host == strings.ToLower(h)
	})
}

// named tells whether the operator has written a host out in full.
func (s *Sender) named(host string) bool {
	return slices.ContainsFunc(s.hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// dial connects to what a name has resolved to only where that is public: the
// address that is looked at is the one that is connected to.
func (s *Sender) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: timeout}
	if !s.named(host) {
		d.Control = func(_, resolved string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(resolved)
			if err != nil || !public(at.Addr()) {
				return fmt.Errorf("%w: %s is at no public address", ErrEndpoint, host)
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, address)
}

// reserved are ranges that nobody on the internet has, beside those that
// package netip knows (RFC 6890 and its registries). NAT64 and 6to4 carry
// addresses of other kinds in them.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) })
}

// message is all that is ever said.
const message = `{"waits":true}`

// Send sends one message, and waits for the service. ErrGone says that the
// subscription is over, ErrEndpoint that it is none; every other error may pass.
func (s *Sender) Send(ctx context.Context, to Subscription) error {
	if err := s.Check(to); err != nil {
		return err
	}
	answer, err := webpush.SendNotificationWithContext(ctx, []byte(message), &webpush.Subscription{
		Endpoint: to.Endpoint, Keys: webpush.Keys{P256dh: to.P256DH, Auth: to.Auth},
	}, &webpush.Options{
		HTTPClient: s.client, Subscriber: s.Contact, TTL: int(timeToLive.Seconds()), Urgency: webpush.UrgencyHigh,
		VAPIDPublicKey: s.PublicKey(), VAPIDPrivateKey: s.privateKey(),
	})
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotFound, answer.StatusCode == http.StatusGone:
		return ErrGone
	case answer.StatusCode >= 300:
		return fmt.Errorf("push: the service answered %d", answer.StatusCode)
	}
	return nil
}

func (s *Sender) privateKey() string {
	raw, err := s.key.Bytes()
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Later sends without anybody waiting, and gives done what came of it. Where too
// much is under way, and after Stop, nothing is sent, and done is not called.
func (s *Sender) Later(to Subscription, done func(ctx context.Context, err error)) {
	select {
	case s.running <- struct{}{}:
	default:
		return
	}
	go func() {
		defer func() { <-s.running }()
		ctx, cancel := context.WithTimeout(s.lasting, 2*timeout)
		defer cancel()
		done(ctx, s.Send(ctx, to))
	}()
}

// Stop waits for what Later sends and for what is done of it, and cuts short
// what takes longer than a moment. It is called once, and nothing is sent after.
func (s *Sender) Stop() {
	late := time.AfterFunc(grace, s.cut)
	for range cap(s.running) { // whoever has all places has waited for everybody
		s.running <- struct{}{}
	}
	late.Stop()
	s.cut()
	s.client.CloseIdleConnections()
}
