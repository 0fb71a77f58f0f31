package store

import (
	"context"

	"github.com/stepgate/stepgate/internal/people"
)

// ForPeople is a store as package people asks for one: the type of its
// transactions is the part of ours that people needs.
func ForPeople(s Store) people.Store { return forPeople{s} }

type forPeople struct{ Store }

// UpdateAtLength implements people.Store.
func (s forPeople) UpdateAtLength(ctx context.Context, long, end func(people.Tx) error) error {
	return s.Store.UpdateAtLength(ctx, func(tx Tx) error { return long(tx) }, func(tx Tx) error { return end(tx) })
}

// Update implements people.Store.
func (s forPeople) Update(ctx context.Context, change func(people.Tx) error) error {
	return s.Store.Update(ctx, func(tx Tx) error { return change(tx) })
}
