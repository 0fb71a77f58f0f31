package store

import (
	"context"

	"github.com/stepgate/stepgate/internal/people"
)

// ForPeople is a store as package people asks for one: the type of its
// transactions is the part of ours that people needs.
func ForPeople(s Store) people.Store { return forPeople{s} }

type forPeople struct{ Store }

// Update implements people.Store.
func (s forPeople) Update(ctx context.Context, change func(people.Tx) error) error {
	return s.Store.Update(ctx, func(tx Tx) error { return change(tx) })
}
