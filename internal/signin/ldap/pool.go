package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// restFor is how long a server that could not be reached is asked last.
const restFor = 30 * time.Second

// server is one address of the directory.
type server struct {
	url  *url.URL
	text string
	tls  *tls.Config

	mu    sync.Mutex
	downT time.Time
}

func (s *server) resting(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.downT)
}

func (s *server) rest(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.downT = until
}

// pool keeps connections of one kind: those on which the reader searches, or
// those on which passwords are compared. Safe for concurrent use.
type pool struct {
	servers []*server
	config  *Config
	// greet makes a new connection ready.
	greet func(*ldap.Conn) error
	// busy has a place for each connection in use.
	busy chan struct{}

	mu     sync.Mutex
	idle   []*ldap.Conn
	closed bool
}

func newPool(c *Config, servers []*server, size int, greet func(*ldap.Conn) error) *pool {
	return &pool{servers: servers, config: c, greet: greet, busy: make(chan struct{}, size)}
}

// do runs f on a connection, which is closed when ctx ends. Where a connection
// that was used before turns out to be dead, f runs once more on a new one; f
// must bear that.
func (p *pool) do(ctx context.Context, f func(*ldap.Conn) error) error {
	select {
	case p.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.busy }()
	if conn := p.take(); conn != nil {
		err := during(ctx, conn, f)
		if !broken(err) {
			p.put(conn)
			return err
		}
		conn.Close()
	}
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	err = during(ctx, conn, f)
	if broken(err) {
		conn.Close()
		return err
	}
	p.put(conn)
	return err
}

// during runs f until ctx ends.
func during(ctx context.Context, conn *ldap.Conn, f func(*ldap.Conn) error) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	return f(conn)
}

func (p *pool) take() *ldap.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		conn := p.idle[last]
		p.idle = p.idle[:last]
		if !conn.IsClosing() {
			return conn
		}
	}
	return nil
}

func (p *pool) put(conn *ldap.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || conn.IsClosing() {
		conn.Close()
		return
	}
	p.idle = append(p.idle, conn)
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, conn := range p.idle {
		conn.Close()
	}
	p.idle = nil
}

// dial opens a connection to the first server that can be reached. Those that
// could not be a moment ago are tried last.
func (p *pool) dial(ctx context.Context) (*ldap.Conn, error) {
	now := time.Now()
	var errs []error
	for _, resting := range []bool{false, true} {
		for _, s := range p.servers {
			if s.resting(now) != resting {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			conn, err := p.connect(s)
			if err == nil {
				s.rest(time.Time{})
				return conn, nil
			}
			s.rest(now.Add(restFor))
			errs = append(errs, fmt.Errorf("%s: %w", s.text, err))
		}
	}
	return nil, errors.Join(errs...)
}

func (p *pool) connect(s *server) (*ldap.Conn, error) {
	conn, err := ldap.DialURL(s.text, ldap.DialWithDialer(p.config.dialer()), ldap.DialWithTLSConfig(s.tls))
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(p.config.timeout())
	if p.config.StartTLS {
		if err := conn.StartTLS(s.tls); err != nil {
			conn.Close()
			return nil, fmt.Errorf("start TLS: %w", err)
		}
	}
	if p.greet != nil {
		if err := p.greet(conn); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// broken tells whether an error is of the connection, or of a server that is
// going away, and not an answer.
func broken(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.ErrorNetwork, ldap.ErrorUnexpectedMessage, ldap.ErrorUnexpectedResponse,
		ldap.LDAPResultUnavailable, ldap.LDAPResultBusy, ldap.LDAPResultTimeout, ldap.LDAPResultServerDown)
}
