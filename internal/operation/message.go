package operation

import (
	"encoding/json"

	"github.com/stepgate/stepgate/internal/people"
)

// Path is where a running gateway takes commands, at Caddy's admin
// endpoint. Whoever reaches that endpoint can replace the whole
// configuration, so it asks for no more than Caddy does there.
const Path = "/stepgate/command"

// MaxBytes bounds a command: the largest table, in base64.
const MaxBytes = people.MaxImportBytes/3*4 + 64<<10

// Request asks for an operation on a named store. Without an operation
// it asks only whether this gateway uses that store.
type Request struct {
	Operation string          `json:"operation,omitempty"`
	Store     string          `json:"store"`
	Input     json.RawMessage `json:"input,omitempty"`
}

// Response has a result or an error, and always the store's name.
type Response struct {
	Store  string          `json:"store"`
	Output json.RawMessage `json:"output,omitempty"`
	Error  *Answer         `json:"error,omitempty"`
}
