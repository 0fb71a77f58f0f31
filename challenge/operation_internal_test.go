package challenge

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
)

var removal = ceremony.Operation{Once: "remove-credential 1", Text: "operation.remove.totp", Page: "/.stepgate/account/remove?credential=1"}

// may asks the port as a page of another package does, and gives where the
// browser is sent if it may not.
func (b *browser) may(ask func(http.ResponseWriter, *http.Request, *session.Entry, ceremony.Operation) (bool, error), o ceremony.Operation) (on bool, to string) {
	b.k.t.Helper()
	w := httptest.NewRecorder()
	on, err := ask(w, b.Request(http.MethodGet, o.Page, nil), b.visitor(), o)
	if err != nil {
		b.k.t.Fatal(err)
	}
	b.Keep(w.Result())
	return on, w.Result().Header.Get("Location")
}

// prove makes the proof that the port has sent the browser for.
func (b *browser) prove(to string) sheet {
	b.k.t.Helper()
	b.k.wait(time.Minute) // each of an app's codes is good once
	page := b.open(to)
	if !strings.Contains(page.text, "remove an authenticator app") {
		b.k.t.Fatalf("the page of the proof does not name the operation: %d to %q\n%s", page.status, page.to, page.text)
	}
	return b.send(page, map[string]string{"code": b.k.code([]byte(rigSeed))})
}

func TestAnOperationIsDoneOnceForOneProof(t *testing.T) {
	k := newRig(t, nil)
	k.holdsApp(k.person("jo"))
	b := k.browser()
	b.stepUp("jo")
	on, to := b.may(k.Authorised, removal)
	if on || to == "" {
		t.Fatalf("a proof for something else will do: %v, %q", on, to)
	}
	if after := b.ask(b.Request(http.MethodGet, "/.stepgate/x", nil)); after.status != http.StatusNotFound {
		t.Fatal(after.status)
	}
	s := b.prove(to)
	if s.to != "" && s.to != removal.Page || s.to == "" && !strings.HasPrefix(s.at, "/.stepgate/account/remove") {
		t.Fatalf("the proof leads to %q (%q)", s.to, s.at)
	}
	if on, _ := b.may(k.Authorised, removal); !on {
		t.Fatal("the proof does not count")
	}
	other := removal
	other.Once = "remove-credential 2"
	if on, _ := b.may(k.Spend, other); on {
		t.Fatal("the proof opens another operation")
	}
	if on, _ := b.may(k.Spend, removal); !on {
		t.Fatal("the proof cannot be spent")
	}
	on, to = b.may(k.Spend, removal)
	if on || to == "" {
		t.Fatal("the proof is spent twice")
	}
	b.prove(to)
	if on, _ := b.may(k.Spend, removal); !on {
		t.Error("a second proof for the same operation does not count")
	}
}

func TestOfManyWhoSpendAProofOneMayGoOn(t *testing.T) {
	k := newRig(t, nil)
	k.holdsApp(k.person("jo"))
	b := k.browser()
	b.stepUp("jo")
	_, to := b.may(k.Authorised, removal)
	b.prove(to)
	v, won := b.visitor(), make(chan bool, 20)
	var all sync.WaitGroup
	for range cap(won) {
		all.Go(func() {
			on, err := k.Spend(httptest.NewRecorder(), b.Request(http.MethodPost, removal.Page, nil), v, removal)
			won <- on && err == nil
		})
	}
	all.Wait()
	close(won)
	winners := 0
	for on := range won {
		if on {
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d may go on", winners)
	}
}

func TestAProofForAnOperationAges(t *testing.T) {
	k := newRig(t, nil)
	k.holdsApp(k.person("jo"))
	b := k.browser()
	b.stepUp("jo")
	_, to := b.may(k.Authorised, removal)
	b.prove(to)
	k.wait(ceremony.TransactionTTL)
	if on, _ := b.may(k.Spend, removal); on {
		t.Error("it counts after its time")
	}
}

func TestNobodyIsAuthorised(t *testing.T) {
	k := newRig(t, nil)
	b := k.browser()
	if on, to := b.may(k.Spend, removal); on || !strings.HasPrefix(to, "/.stepgate/sign-in?c=") {
		t.Errorf("%v, %q", on, to)
	}
}

func TestWhoHasNoSecondFactorIsToldWhatToDo(t *testing.T) {
	k := newRig(t, nil)
	k.person("jo")
	b := k.browser()
	b.signIn("/.stepgate/sign-in", "jo")
	w := httptest.NewRecorder()
	on, err := k.Authorised(w, b.Request(http.MethodGet, removal.Page, nil), b.visitor(), removal)
	if page := w.Body.String(); on || err != nil || w.Code != http.StatusForbidden || !strings.Contains(page, `href="/.stepgate/enrol"`) || textID.MatchString(page) {
		t.Errorf("%v, %v, %d:\n%s", on, err, w.Code, page)
	}
}

func TestNothingIsAuthorisedWithoutTheStore(t *testing.T) {
	k := newRig(t, nil)
	k.holdsApp(k.person("jo"))
	b := k.browser()
	b.stepUp("jo")
	_, to := b.may(k.Authorised, removal)
	b.prove(to)
	k.Store = brokenTransactions{k.Store}
	for _, ask := range []func(http.ResponseWriter, *http.Request, *session.Entry, ceremony.Operation) (bool, error){k.Authorised, k.Spend} {
		if on, err := ask(httptest.NewRecorder(), b.Request(http.MethodPost, removal.Page, nil), b.visitor(), removal); on || !errors.Is(err, errBroken) {
			t.Errorf("%v, %v", on, err)
		}
	}
}
