package operation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/people"
)

// Of is something that a command has done, by the running gateway or
// by itself on the store: the same code either way. In and Out cross the
// admin endpoint as JSON.
type Of[In, Out any] struct {
	Name string
	// MayCreate is set for the operations that make a store where there is
	// none.
	MayCreate bool
}

// Place is where operations are done, and in whose name.
type Place struct {
	// Actor is who asks: the operator for a command, an account for a page.
	Actor    people.Actor
	People   *people.People
	Store    Store
	Recorder *audit.Recorder
	Ring     *keys.Ring
	// Risk scores visits.
	Risk Risk
	Keys Keys
}

// Keys is the ring as its file, its store and the sessions have it.
type Keys interface {
	// List describes the keys, oldest first.
	List() []keys.Info
	// Prepare adds a key that writes nothing yet, unless there is one.
	Prepare(ctx context.Context, now time.Time) error
	// Rotate makes the prepared key, or else a new one, primary.
	Rotate(ctx context.Context, now time.Time) error
	// Browsers is for how long a browser may keep something that is sealed.
	Browsers() time.Duration
	// Retire lets the store note that older keys are retired, with the event,
	// and takes them out of their file, if they are in one. keys.ErrInUse where
	// one was primary somewhere after unusedSince.
	Retire(ctx context.Context, ids []string, unusedSince, now time.Time, event audit.Event) error
	// Drop takes keys that the store has retired out of their file.
	Drop(ctx context.Context, ids []string) error
}

// Store is what operations read beside what People does.
type Store interface {
	audit.Store
	// VoidSpendable ends and voids what could have been spent.
	VoidSpendable(ctx context.Context, now time.Time, event audit.Event) (codes int64, err error)
	// Usernames has those of the accounts that there are, to be shown: one that
	// several sources have is followed by its source.
	Usernames(ctx context.Context, ids []account.ID) (map[account.ID]string, error)
	// Keys is what the store knows of keys, KeyNeeds what it has that needs
	// them, and Reseal brings what lasts under the primary one.
	Keys(ctx context.Context) ([]keys.Known, error)
	KeyNeeds(ctx context.Context) ([]keys.Need, error)
	Reseal(ctx context.Context) error
	// PruneEvents deletes the oldest records of the trail.
	PruneEvents(ctx context.Context, upTo int64) (int64, error)
	// ReceiversBehind are those that have not got a record of the trail yet.
	ReceiversBehind(ctx context.Context, seq int64, heldAfter time.Time) ([]audit.Behind, error)
}

// performer is an operation without its types.
type performer func(ctx context.Context, p Place, input json.RawMessage) (json.RawMessage, error)

// operations has all of them by name. It is filled before main and never
// changed.
var operations = make(map[string]performer)

// define registers an operation.
func define[In, Out any](name string, run func(ctx context.Context, p Place, in In) (Out, error)) Of[In, Out] {
	operations[name] = func(ctx context.Context, p Place, input json.RawMessage) (json.RawMessage, error) {
		var in In
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, &Answer{Kind: Invalid, Text: fmt.Sprintf("%s: unreadable input", name)}
		}
		out, err := run(ctx, p, in)
		if err != nil {
			return nil, AsAnswer(err)
		}
		return json.Marshal(out)
	}
	return Of[In, Out]{Name: name}
}

// creating marks an operation that may make the store.
func (o Of[In, Out]) creating() Of[In, Out] {
	o.MayCreate = true
	return o
}

// Perform runs an operation by name.
func Perform(ctx context.Context, p Place, name string, input json.RawMessage) (json.RawMessage, error) {
	run, ok := operations[name]
	if !ok {
		return nil, &Answer{Kind: Invalid, Text: fmt.Sprintf("this gateway knows no operation %q: command and gateway are of different versions", name)}
	}
	return run(ctx, p, input)
}

// The kinds of answer that are not a result.
const (
	// Invalid is a question that can never be answered.
	Invalid = "invalid"
	// No is a no: not found, taken, not permitted.
	No = "no"
	// Technical is a failure of the gateway, not of the question.
	Technical = "technical"
	// OtherStore says that this gateway has another store.
	OtherStore = "other_store"
)

// Answer is an error that keeps its kind over the admin endpoint.
type Answer struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func (a *Answer) Error() string { return a.Text }

// AsAnswer gives an error of an operation its kind.
func AsAnswer(err error) *Answer {
	var already *Answer
	var no *people.Error
	switch {
	case errors.As(err, &already):
		return already
	case errors.Is(err, people.ErrInvalid):
		return &Answer{Kind: Invalid, Text: err.Error()}
	case errors.As(err, &no):
		return &Answer{Kind: No, Text: err.Error()}
	default:
		return &Answer{Kind: Technical, Text: err.Error()}
	}
}
