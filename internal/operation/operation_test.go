package operation

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stepgate/stepgate/internal/people"
)

func TestAnswersKeepTheirKind(t *testing.T) {
	invalid := &Answer{Kind: Invalid, Text: "no such thing"}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a no of people":       {refusedByPeople(t), No},
		"a wrapped no":         {fmt.Errorf("line 3: %w", refusedByPeople(t)), No},
		"something impossible": {impossibleForPeople(t), Invalid},
		"an answer already":    {invalid, Invalid},
		"a full disk":          {errors.New("disk full"), Technical},
	} {
		t.Run(name, func(t *testing.T) {
			if got := AsAnswer(c.err); got.Kind != c.want || got.Text != c.err.Error() {
				t.Errorf("got %+v, want kind %s of %v", got, c.want, c.err)
			}
		})
	}
}

// refusedByPeople is what an actor without rights gets.
func refusedByPeople(t *testing.T) error {
	_, err := new(people.People).AddAccount(context.Background(), people.Actor{}, people.NewAccount{})
	return wantPeopleError(t, err, people.ErrForbidden)
}

func impossibleForPeople(t *testing.T) error {
	_, err := new(people.People).EditAccount(context.Background(), people.Operator(), people.Who{}, people.Changes{})
	return wantPeopleError(t, err, people.ErrInvalid)
}

func wantPeopleError(t *testing.T, err, want error) error {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	return err
}
