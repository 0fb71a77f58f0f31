package challenge

import (
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

// This file chooses among a site's sources by the domain of a name (`for
// @council.gov`). A source that names domains is asked about names of these
// alone, and about such a name no other source is asked: whoever runs one
// directory cannot sign in as somebody of another's.

// DomainOf is what follows the last @ of a name, as names are compared; ""
// where nothing does.
func DomainOf(name string) string {
	folded := account.FoldUsername(name)
	at := strings.LastIndexByte(folded, '@')
	if at < 0 {
		return ""
	}
	return folded[at+1:]
}

// asks tells whether a source is one to ask about a name.
func (s *Site) asks(source signin.Source, name string) bool {
	domain, own := DomainOf(name), s.Domains[source.Name()]
	for _, some := range s.Domains {
		if domain != "" && slices.Contains(some, domain) {
			return slices.Contains(own, domain)
		}
	}
	return len(own) == 0
}

// named is the source that the domain of a name leads to, nil for none.
func (s departures) named(name string) signin.Redirector {
	for _, source := range s.Redirectors {
		if len(s.Domains[source.Name()]) > 0 && s.asks(source, name) {
			return source
		}
	}
	return nil
}

// leading are the domains whose people sign in elsewhere, sorted.
func (s departures) leading() []string {
	var all []string
	for _, source := range s.Redirectors {
		all = append(all, s.Domains[source.Name()]...)
	}
	slices.Sort(all)
	return all
}

// comparing are the sources that compare passwords of people of this name.
func (s signIns) comparing(name string) []signin.PasswordChecker {
	return slices.DeleteFunc(slices.Clone(s.Passwords), func(source signin.PasswordChecker) bool { return !s.asks(source, name) })
}
