package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stepgate/stepgate/internal/people"
)

// operation is something that a command has done, by the running gateway or
// by itself on the store: the same code either way. In and Out cross the
// admin endpoint as JSON.
type operation[In, Out any] struct {
	name string
	// mayCreate is set for the operations that make a store where there is
	// none.
	mayCreate bool
}

// performer is an operation without its types.
type performer func(ctx context.Context, r *runtime, input json.RawMessage) (json.RawMessage, error)

// operations has all of them by name. It is filled before main and never
// changed.
var operations = make(map[string]performer)

// define registers an operation.
func define[In, Out any](name string, run func(ctx context.Context, r *runtime, in In) (Out, error)) operation[In, Out] {
	operations[name] = func(ctx context.Context, r *runtime, input json.RawMessage) (json.RawMessage, error) {
		var in In
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, &answer{Kind: answerInvalid, Text: fmt.Sprintf("%s: unreadable input", name)}
		}
		out, err := run(ctx, r, in)
		if err != nil {
			return nil, asAnswer(err)
		}
		return json.Marshal(out)
	}
	return operation[In, Out]{name: name}
}

// creating marks an operation that may make the store.
func (o operation[In, Out]) creating() operation[In, Out] {
	o.mayCreate = true
	return o
}

// perform runs an operation by name.
func perform(ctx context.Context, r *runtime, name string, input json.RawMessage) (json.RawMessage, error) {
	run, ok := operations[name]
	if !ok {
		return nil, &answer{Kind: answerInvalid, Text: fmt.Sprintf("this gateway knows no operation %q: command and gateway are of different versions", name)}
	}
	return run(ctx, r, input)
}

// The kinds of answer that are not a result.
const (
	// answerInvalid is a question that can never be answered.
	answerInvalid = "invalid"
	// answerNo is a no: not found, taken, not permitted.
	answerNo = "no"
	// answerTechnical is a failure of the gateway, not of the question.
	answerTechnical = "technical"
	// answerOtherStore says that this gateway has another store.
	answerOtherStore = "other_store"
)

// answer is an error that keeps its kind over the admin endpoint.
type answer struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func (a *answer) Error() string { return a.Text }

// asAnswer gives an error of an operation its kind.
func asAnswer(err error) *answer {
	var already *answer
	var no *people.Error
	switch {
	case errors.As(err, &already):
		return already
	case errors.Is(err, people.ErrInvalid):
		return &answer{Kind: answerInvalid, Text: err.Error()}
	case errors.As(err, &no):
		return &answer{Kind: answerNo, Text: err.Error()}
	default:
		return &answer{Kind: answerTechnical, Text: err.Error()}
	}
}
