package signin

import (
	"context"
	"errors"
	"net/http"
)

type heardKey struct{}

type heard struct {
	who Identity
	err error
}

// Hear asks asserters in turn whom a request names, and keeps in the context
// what the first one says that does not say nobody.
func Hear(ctx context.Context, sources []Asserter, r *http.Request, earlier Lookup) context.Context {
	found := heard{err: ErrNobody}
	for _, source := range sources {
		if who, err := source.Assert(r, earlier); !errors.Is(err, ErrNobody) {
			who.Source = source.Name()
			found = heard{who, err}
			break
		}
	}
	return context.WithValue(ctx, heardKey{}, found)
}

// Heard is whom a request names, ErrNobody where it names nobody, also where
// no source was asked.
func Heard(ctx context.Context) (Identity, error) {
	found, ok := ctx.Value(heardKey{}).(heard)
	if !ok {
		return Identity{}, ErrNobody
	}
	return found.who, found.err
}
