package oidc_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stepgate/stepgate/internal/signin"
)

func TestADiscoveryDocumentOfAnotherIssuerIsNotBelieved(t *testing.T) {
	i := newIssuer(t)
	i.discovery["issuer"] = "https://login.example.gov"
	if _, err := walk(t, open(t, i), i, signin.Departure{}); err == nil || errors.Is(err, signin.ErrRefused) {
		t.Errorf("%v; want a technical error", err)
	}
}

func TestAKeyThatWasReplacedIsFoundAtOnce(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i)
	for _, key := range []string{"first", "second", "third"} {
		if key != "first" {
			i.roll(key)
		}
		if _, err := walk(t, s, i, signin.Departure{}); err != nil {
			t.Errorf("%s key: %v", key, err)
		}
	}
}

// TestKeysThatAreBeingReadAreNotTheLastWord has a token of the new key arrive
// while the old keys are on their way.
func TestKeysThatAreBeingReadAreNotTheLastWord(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i)
	old, reading, goOn := i.published(), make(chan struct{}), make(chan struct{})
	i.keys = func(w http.ResponseWriter) {
		i.keys = nil
		i.mu.Unlock()
		close(reading)
		<-goOn
		i.mu.Lock()
		reply(w, old)
	}
	first := make(chan error)
	go func() {
		_, err := walk(t, s, i, signin.Departure{})
		first <- err
	}()
	<-reading
	i.roll("second")
	second := make(chan error)
	go func() {
		_, err := walk(t, s, i, signin.Departure{})
		second <- err
	}()
	close(goOn)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
}

func TestKeysThatCannotBeReadAreNoRefusal(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i)
	i.keys = func(w http.ResponseWriter) { http.Error(w, "down", http.StatusBadGateway) }
	if _, err := walk(t, s, i, signin.Departure{}); err == nil || errors.Is(err, signin.ErrRefused) {
		t.Errorf("%v; want a technical error", err)
	}
}
