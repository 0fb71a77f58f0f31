package operation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
)

// The states of a key.
const (
	// KeyPrimary is the one that everything new is written with.
	KeyPrimary = "primary"
	// KeyPrepared writes nothing before the next rotation.
	KeyPrepared = "prepared"
	// KeyOlder only opens and verifies what it wrote.
	KeyOlder = "older"
)

// KeyView is a key as commands print it: no secret, nor anything made of one
// but its public name.
type KeyView struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	State   string    `json:"state"`
	// NeededFor says why an older key cannot be retired yet; empty where it can.
	NeededFor []KeyNeed `json:"needed_for,omitempty"`
}

// KeyNeed is one reason.
type KeyNeed struct {
	// What is one of the words of package keys.
	What string `json:"what"`
	// Count is how many there are, where that is known.
	Count int64 `json:"count,omitempty"`
	// Until is when the reason goes by itself, or, of the audit trail, before
	// when its records have to be pruned.
	Until time.Time `json:"until,omitzero"`
}

// ViewKeys is a ring as commands print it.
func ViewKeys(list []keys.Info) []KeyView {
	views := make([]KeyView, 0, len(list))
	for _, k := range list {
		state := KeyOlder
		switch {
		case k.Primary:
			state = KeyPrimary
		case k.Prepared:
			state = KeyPrepared
		}
		views = append(views, KeyView{ID: k.ID, Created: k.Created, State: state})
	}
	return views
}

// KeysRotateInput is what `keys rotate` asks with.
type KeysRotateInput struct {
	// Prepare adds a key and leaves the primary as it is.
	Prepare bool   `json:"prepare,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// KeysRetireInput is what `keys retire` asks with.
type KeysRetireInput struct {
	// ID is the key; all that nothing needs where it is empty.
	ID     string `json:"id,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// The verbs of keys. Only an operator may.
var (
	KeysList = define("keys/list", func(ctx context.Context, p Place, _ struct{}) ([]KeyView, error) {
		if err := onlyOperator(p, "see keys"); err != nil {
			return nil, err
		}
		return p.viewKeys(ctx, time.Now())
	})
	KeysRotate = define("keys/rotate", func(ctx context.Context, p Place, in KeysRotateInput) ([]KeyView, error) {
		if err := onlyOperator(p, "rotate keys"); err != nil {
			return nil, err
		}
		now := time.Now()
		change := p.Keys.Rotate
		if in.Prepare {
			change = p.Keys.Prepare
		}
		if err := change(ctx, now); err != nil {
			if errors.Is(err, keys.ErrElsewhere) {
				return nil, &Answer{Kind: No, Text: err.Error()}
			}
			return nil, fmt.Errorf("key_file: %w", err)
		}
		views := ViewKeys(p.Keys.List())
		if in.Prepare {
			return views, nil
		}
		return views, p.Recorder.Record(ctx, rotated(now, views, in.Reason))
	})
	// KeysRetire takes older keys out for good: the one that is named, or all
	// that nothing needs.
	KeysRetire = define("keys/retire", func(ctx context.Context, p Place, in KeysRetireInput) ([]KeyView, error) {
		if err := onlyOperator(p, "retire keys"); err != nil {
			return nil, err
		}
		if err := p.retireKeys(ctx, in, time.Now()); err != nil {
			return nil, err
		}
		return ViewKeys(p.Keys.List()), nil
	})
)

// rotated is the event of another primary key.
func rotated(now time.Time, views []KeyView, reason string) audit.Event {
	for _, k := range views {
		if k.State == KeyPrimary {
			return keyEvent(now, audit.KeyRotated, []string{k.ID}, reason)
		}
	}
	return keyEvent(now, audit.KeyRotated, nil, reason)
}

func keyEvent(now time.Time, name audit.Name, ids []string, reason string) audit.Event {
	e := audit.Event{At: now.UTC(), Name: name, Actor: commandActor, Outcome: "success"}
	for _, id := range ids {
		e.Detail = append(e.Detail, audit.Field{Key: "key", Value: id})
	}
	if reason != "" {
		e.Detail = append(e.Detail, audit.Field{Key: "reason", Value: reason})
	}
	return e
}

func onlyOperator(p Place, what string) error {
	if p.Actor.IsOperator() {
		return nil
	}
	return &Answer{Kind: No, Text: "only an operator may " + what}
}
