package ldap

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

// Source signs people in with their password in a directory. Safe for
// concurrent use.
type Source struct {
	name    string
	config  Config
	searchs *pool // bound as the reader
	binds   *pool // bound as whoever was compared last
}

var (
	_ signin.SubjectChecker  = (*Source)(nil)
	_ signin.PasswordChanger = (*Source)(nil)
	_ signin.Rechecker       = (*Source)(nil)
)

// New makes a source of a configuration that Check found nothing wrong with.
// It reads ca_file and asks no server. Close ends it.
func New(name string, c Config) (*Source, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Source{name: name, config: c}
	var servers []*server
	for _, text := range c.Servers {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		config, err := c.tlsConfig(u)
		if err != nil {
			return nil, err
		}
		servers = append(servers, &server{url: u, text: text, tls: config})
	}
	size := cmp.Or(c.Connections, defaultConnections)
	s.searchs = newPool(&s.config, servers, size, s.asReader)
	s.binds = newPool(&s.config, servers, size, nil)
	return s, nil
}

// Name implements signin.Source.
func (s *Source) Name() string { return s.name }

// Close ends all connections. Calls under way fail.
func (s *Source) Close() error {
	s.searchs.close()
	s.binds.close()
	return nil
}

// asReader lets a new connection search.
func (s *Source) asReader(conn *ldap.Conn) error {
	if s.config.BindDN == "" {
		return nil
	}
	if err := conn.Bind(s.config.BindDN, s.config.BindPassword); err != nil {
		return fmt.Errorf("bind_dn: %w", err)
	}
	return nil
}

// CheckPassword implements signin.PasswordChecker. A *signin.Refusal says why
// somebody with the right password is not let in. Its technical errors are the
// directory's: no server reached, or the reader is not let in.
func (s *Source) CheckPassword(ctx context.Context, username string, password account.Secret) (signin.Identity, error) {
	return s.checkPassword(ctx, signin.Person{Username: username}, password)
}

// CheckSubject implements signin.SubjectChecker.
func (s *Source) CheckSubject(ctx context.Context, subject string, password account.Secret) (signin.Identity, error) {
	return s.checkPassword(ctx, signin.Person{Subject: subject}, password)
}

func (s *Source) checkPassword(ctx context.Context, who signin.Person, password account.Secret) (signin.Identity, error) {
	if !usable(password) {
		return signin.Identity{}, signin.ErrRefused
	}
	entry, err := s.person(ctx, who)
	if err != nil {
		return signin.Identity{}, err
	}
	if entry == nil {
		return signin.Identity{}, s.compareNobody(ctx, password)
	}
	if err := s.compare(ctx, entry.DN, password); err != nil {
		return signin.Identity{}, err
	}
	return s.identity(ctx, entry)
}

// usable tells whether a server would compare a password at all, and all of
// it.
func usable(password account.Secret) bool {
	return len(password) > 0 && bytes.IndexByte(password.Reveal(), 0) < 0
}

// person is the entry of whoever is meant, nil for nobody. Of a subject only
// people whom the configured filter could find count, whatever they type: it
// may keep others out.
func (s *Source) person(ctx context.Context, who signin.Person) (*ldap.Entry, error) {
	configured := cmp.Or(s.config.Filter, defaultFilter)
	filter := ""
	if who.Subject != "" {
		filter = "(&" + s.subjectFilter(who.Subject) + anybody(configured) + ")"
	} else {
		l, known := s.config.readLogin(who.Username)
		if !known {
			return nil, nil
		}
		filter = fill(configured, l)
	}
	entry, err := s.find(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("ldap: search: %w", err)
	}
	return entry, nil
}

// Recheck implements signin.Rechecker: the entry is looked up by its stable
// identifier, so that one with the same name and another identifier is not it.
func (s *Source) Recheck(ctx context.Context, subject string) (signin.Identity, error) {
	if subject == "" {
		return signin.Identity{}, signin.ErrRefused
	}
	entry, err := s.person(ctx, signin.Person{Subject: subject})
	if err != nil {
		return signin.Identity{}, err
	}
	if entry == nil || disabled(entry, time.Now()) {
		return signin.Identity{}, signin.ErrRefused
	}
	return s.identity(ctx, entry)
}

// RecheckEvery implements signin.Rechecker.
func (s *Source) RecheckEvery() time.Duration {
	if s.config.Recheck == nil {
		return defaultRecheck
	}
	return *s.config.Recheck
}

// find returns the one entry that a filter matches, nil for none and for more
// than one: which of them it is would be a guess.
func (s *Source) find(ctx context.Context, filter string) (*ldap.Entry, error) {
	var entries []*ldap.Entry
	err := s.searchs.do(ctx, func(conn *ldap.Conn) error {
		entries = nil
		found, err := conn.Search(ldap.NewSearchRequest(s.config.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
			2, int(s.config.timeout().Seconds())+1, false, filter, s.config.Attributes.wanted(), nil))
		if ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		entries = found.Entries
		if len(entries) == 1 {
			return s.complete(conn, entries[0])
		}
		return nil
	})
	if err != nil || len(entries) != 1 {
		return nil, err
	}
	return entries[0], nil
}

// compare binds as an entry.
func (s *Source) compare(ctx context.Context, dn string, password account.Secret) error {
	if dn == "" {
		return signin.ErrRefused
	}
	var refused error
	err := s.binds.do(ctx, func(conn *ldap.Conn) error {
		result, err := conn.SimpleBind(ldap.NewSimpleBindRequest(dn, string(password.Reveal()), []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}))
		if broken(err) {
			return err
		}
		refused = judge(result, err)
		return nil
	})
	if err != nil {
		return fmt.Errorf("ldap: bind: %w", err)
	}
	return refused
}

// compareNobody costs a stranger's name what a known one costs: a bind as an
// entry that does not exist.
func (s *Source) compareNobody(ctx context.Context, password account.Secret) error {
	err := s.compare(ctx, "cn=nobody,"+s.config.BaseDN, password)
	if err == nil || errors.Is(err, signin.ErrRefused) {
		return signin.ErrRefused
	}
	return err
}
