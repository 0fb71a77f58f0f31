package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/internal/people"
)

func TestCommandEndpointTakesOnlyBoundedJSON(t *testing.T) {
	zeros := io.LimitReader(neverEnding('0'), maxCommandBytes+1)
	for name, c := range map[string]struct {
		method, kind string
		body         io.Reader
		want         int
	}{
		"a form":        {http.MethodPost, "application/x-www-form-urlencoded", strings.NewReader("{}"), http.StatusUnsupportedMediaType},
		"plain text":    {http.MethodPost, "text/plain", strings.NewReader("{}"), http.StatusUnsupportedMediaType},
		"no type":       {http.MethodPost, "", strings.NewReader("{}"), http.StatusUnsupportedMediaType},
		"a GET":         {http.MethodGet, "application/json", nil, http.StatusMethodNotAllowed},
		"no command":    {http.MethodPost, "application/json", strings.NewReader("[]"), http.StatusBadRequest},
		"without end":   {http.MethodPost, "application/json", io.MultiReader(strings.NewReader(`{"store":"`), zeros), http.StatusRequestEntityTooLarge},
		"half a string": {http.MethodPost, "application/json", strings.NewReader(`{"store":"x`), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, commandPath, c.body)
			r.Header.Set("Content-Type", c.kind)
			var got caddy.APIError
			if err := serveCommand(httptest.NewRecorder(), r); !errors.As(err, &got) || got.HTTPStatus != c.want {
				t.Errorf("error %v, want status %d", err, c.want)
			}
		})
	}
}

func TestCommandsOfAnotherStoreAreNotExecuted(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, commandPath, nil)
	current := &runtime{storeName: "sqlite /a.db"} // with no people: executing anything would panic
	for _, store := range []string{"", "sqlite /b.db"} {
		got := execute(r, current, commandRequest{Operation: "user/list", Store: store, Input: json.RawMessage("{}")})
		if got.Error == nil || got.Error.Kind != answerOtherStore || got.Output != nil {
			t.Errorf("store %q: %+v", store, got)
		}
	}
	if got := execute(r, current, commandRequest{Operation: "user/frobnicate", Store: current.storeName}); got.Error == nil || got.Error.Kind != answerInvalid {
		t.Errorf("unknown operation: %+v", got)
	}
}

func TestAnswersKeepTheirKind(t *testing.T) {
	invalid := &answer{Kind: answerInvalid, Text: "no such thing"}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a no of people":       {refusedByPeople(t), answerNo},
		"a wrapped no":         {fmt.Errorf("line 3: %w", refusedByPeople(t)), answerNo},
		"something impossible": {impossibleForPeople(t), answerInvalid},
		"an answer already":    {invalid, answerInvalid},
		"a full disk":          {errors.New("disk full"), answerTechnical},
	} {
		t.Run(name, func(t *testing.T) {
			if got := asAnswer(c.err); got.Kind != c.want || got.Text != c.err.Error() {
				t.Errorf("got %+v, want kind %s of %v", got, c.want, c.err)
			}
		})
	}
}

// refusedByPeople is what an actor without rights gets.
func refusedByPeople(t *testing.T) error {
	_, err := new(people.People).AddAccount(context.Background(), people.Actor{}, people.NewAccount{})
	return wantPeopleError(t, err, people.ErrForbidden)
}

func impossibleForPeople(t *testing.T) error {
	_, err := new(people.People).EditAccount(context.Background(), people.Operator(), people.Who{}, people.Changes{})
	return wantPeopleError(t, err, people.ErrInvalid)
}

func wantPeopleError(t *testing.T, err, want error) error {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	return err
}

// neverEnding is a reader of one byte for ever.
type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}
