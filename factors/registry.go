package factors

import (
	"fmt"

	"github.com/stepgate/stepgate/policy"
)

// Registry is the set of factors that a gateway offers, fixed once built.
type Registry struct {
	byKind map[policy.Factor]Factor
	order  []Factor
}

// NewRegistry refuses two factors of one kind.
func NewRegistry(offered ...Factor) (*Registry, error) {
	r := &Registry{byKind: make(map[policy.Factor]Factor, len(offered))}
	for _, f := range offered {
		if _, dup := r.byKind[f.Kind()]; dup {
			return nil, fmt.Errorf("factors: two factors of kind %s", f.Kind())
		}
		r.byKind[f.Kind()] = f
	}
	for _, kind := range policy.Factors() {
		if f, ok := r.byKind[kind]; ok {
			r.order = append(r.order, f)
		}
	}
	return r, nil
}

// Find returns the factor of a kind, or nil where it is not offered (its
// provider is not configured).
func (r *Registry) Find(kind policy.Factor) Factor { return r.byKind[kind] }

// Enroller returns the factor of a kind if a person can enrol it.
func (r *Registry) Enroller(kind policy.Factor) (Enroller, bool) {
	e, ok := r.byKind[kind].(Enroller)
	return e, ok
}

// All lists the offered factors, strongest first.
func (r *Registry) All() []Factor { return r.order }
