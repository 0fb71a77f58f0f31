package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/internal/operation"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI is the module "admin.api.stepgate". It keeps nothing of the
// configuration it was made for: Caddy replaces the admin server before it
// knows whether a new configuration will hold, so it asks what is active.
type adminAPI struct{}

// CaddyModule implements caddy.Module.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.stepgate", New: func() caddy.Module { return new(adminAPI) }}
}

// Routes implements caddy.AdminRouter.
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: operation.Path, Handler: caddy.AdminHandlerFunc(serveCommand)}}
}

// serveCommand answers 200 with a commandResponse to everything that is a
// command, and an error of Caddy's kind to everything else.
func serveCommand(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return apiError(http.StatusMethodNotAllowed, "only POST")
	}
	// A page of another site cannot send this type without asking first.
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return apiError(http.StatusUnsupportedMediaType, "only application/json")
	}
	var request operation.Request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, operation.MaxBytes)).Decode(&request); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return apiError(http.StatusRequestEntityTooLarge, fmt.Sprintf("at most %d bytes", large.Limit))
		}
		return apiError(http.StatusBadRequest, "not a command")
	}
	current := active.Load()
	if current == nil {
		return apiError(http.StatusServiceUnavailable, "stepgate is not running")
	}
	response := execute(r, current, request)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(response)
}

func execute(r *http.Request, current *runtime, request operation.Request) operation.Response {
	response := operation.Response{Store: current.storeName}
	switch {
	case request.Store != current.storeName:
		response.Error = &operation.Answer{Kind: operation.OtherStore, Text: "this gateway uses another store"}
	case request.Operation != "":
		output, err := operation.Perform(r.Context(), current.place(), request.Operation, request.Input)
		if err != nil {
			response.Error = operation.AsAnswer(err)
		}
		response.Output = output
	}
	return response
}

func apiError(status int, text string) error {
	return caddy.APIError{HTTPStatus: status, Err: errors.New(text), Message: text}
}

// Interface guards.
var (
	_ caddy.Module      = adminAPI{}
	_ caddy.AdminRouter = adminAPI{}
)
