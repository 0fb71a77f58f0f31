package trusted_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/trusted"
)

func assert(t *testing.T, c trusted.Config, header http.Header, earlier map[string]string) (signin.Identity, error) {
	t.Helper()
	s, err := trusted.New("trusted", c)
	if err != nil {
		t.Fatal(err)
	}
	return s.Assert(&http.Request{Header: header}, func(name string) string { return earlier[name] })
}

func TestAnEarlierHandlersValueIsBelieved(t *testing.T) {
	c := trusted.Config{Placeholder: "http.auth.user.id", Name: "http.auth.user.name", Groups: "http.auth.user.groups"}
	who, err := assert(t, c, http.Header{}, map[string]string{"http.auth.user.id": " Joe ", "http.auth.user.name": "Joe Bloggs", "http.auth.user.groups": "clerks, admins,"})
	if err != nil || who.Username != "Joe" || who.Subject != "joe" || who.Name != "Joe Bloggs" || !slices.Equal(who.Groups, []string{"clerks", "admins"}) {
		t.Errorf("%+v, %v", who, err)
	}
	if _, err := assert(t, c, http.Header{}, nil); !errors.Is(err, signin.ErrNobody) {
		t.Errorf("no value: %v", err)
	}
	if _, err := assert(t, c, http.Header{}, map[string]string{"http.auth.user.id": "joe\x00"}); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("a value that is no name: %v", err)
	}
}

func TestAHeaderCountsOnlyFromWhoMaySetIt(t *testing.T) {
	header := http.Header{"X-Remote-User": {"joe"}}
	c := trusted.Config{Placeholder: "http.request.header.X-Remote-User"}
	if who, err := assert(t, c, header, nil); !errors.Is(err, signin.ErrNobody) {
		t.Errorf("from a stranger: %+v, %v", who, err)
	}
	if who, err := assert(t, c, header, map[string]string{"http.vars.trusted_proxy": "false"}); !errors.Is(err, signin.ErrNobody) {
		t.Errorf("from a peer that is not trusted: %+v, %v", who, err)
	}
	if who, err := assert(t, c, header, map[string]string{"http.vars.trusted_proxy": "true"}); err != nil || who.Username != "joe" {
		t.Errorf("from a trusted proxy: %+v, %v", who, err)
	}
	if who, err := assert(t, c, http.Header{"X-Remote-User": {"joe", "ann"}}, map[string]string{"http.vars.trusted_proxy": "true"}); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("twice: %+v, %v", who, err)
	}
	c.EarlierHandler = true
	if who, err := assert(t, c, header, nil); err != nil || who.Username != "joe" {
		t.Errorf("from an earlier handler: %+v, %v", who, err)
	}
}

func TestCheckRefusesWhatAClientWrites(t *testing.T) {
	for _, placeholder := range []string{
		"", "{http.auth.user.id}", "http.request.uri.query.user", "http.request.cookie.user", "http.request.remote.host", "a b",
	} {
		if (&trusted.Config{Placeholder: placeholder}).Check() == nil {
			t.Errorf("%q: nothing is wrong with it", placeholder)
		}
	}
	for _, placeholder := range []string{"http.auth.user.id", "http.request.tls.client.subject", "http.request.header.X-Remote-User", "http.vars.user"} {
		if err := (&trusted.Config{Placeholder: placeholder}).Check(); err != nil {
			t.Errorf("%q: %v", placeholder, err)
		}
	}
}
