package people_test

import (
	"context"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

func noonNow() time.Time { return noon }

// emptyStore has the default organisation and nobody in it.
type emptyStore struct{ people.Store }

func (emptyStore) AccountsNamed(context.Context, ...string) ([]account.Account, error) {
	return nil, nil
}

func (emptyStore) AccountsBySubject(context.Context, string, []string) ([]account.Account, error) {
	return nil, nil
}

func (emptyStore) Organisation(_ context.Context, name string) (account.Organisation, error) {
	if name == account.DefaultOrganisation {
		return account.Organisation{Name: name}, nil
	}
	return account.Organisation{}, account.ErrNotFound
}

func (emptyStore) Organisations(context.Context) ([]account.Organisation, error) {
	return []account.Organisation{{Name: account.DefaultOrganisation}}, nil
}
