package caddymodule

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/internal/operation"
)

func TestCommandEndpointTakesOnlyBoundedJSON(t *testing.T) {
	zeros := io.LimitReader(neverEnding('0'), operation.MaxBytes+1)
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
			r := httptest.NewRequest(c.method, operation.Path, c.body)
			r.Header.Set("Content-Type", c.kind)
			var got caddy.APIError
			if err := serveCommand(httptest.NewRecorder(), r); !errors.As(err, &got) || got.HTTPStatus != c.want {
				t.Errorf("error %v, want status %d", err, c.want)
			}
		})
	}
}

func TestCommandsOfAnotherStoreAreNotExecuted(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, operation.Path, nil)
	current := &runtime{shared: &shared{storeName: "sqlite /a.db"}} // with no people: executing anything would panic
	for _, store := range []string{"", "sqlite /b.db"} {
		got := execute(r, current, operation.Request{Operation: "user/list", Store: store, Input: json.RawMessage("{}")})
		if got.Error == nil || got.Error.Kind != operation.OtherStore || got.Output != nil {
			t.Errorf("store %q: %+v", store, got)
		}
	}
	if got := execute(r, current, operation.Request{Operation: "user/frobnicate", Store: current.storeName}); got.Error == nil || got.Error.Kind != operation.Invalid {
		t.Errorf("unknown operation: %+v", got)
	}
}

// neverEnding is a reader of one byte for ever.
type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}
