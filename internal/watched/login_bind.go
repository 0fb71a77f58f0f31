package watched

import (
	"context"
	"errors"
	"slices"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/weld"
)

// bindAll welds the app's cookies to the session that its login began.
func (l *login) bindAll(entered *session.Entry, a legacyform.Accepted) error {
	ctx, row := l.HTTP.Context(), entered.Session
	var kept []weld.Cookie
	for _, c := range a.Carried {
		// The app keeps the cookie that the browser had before. Somebody else
		// may have put it there, so that it is bound only if the app says, of
		// this cookie alone, that it is this person's.
		who, err := l.site.Form.Who(ctx, l.ask(), join(l.site.Form.Cookies().Others(l.login.Cookies), c))
		if err == nil && who.Username == a.Username {
			kept = append(kept, c)
		}
	}
	if err := l.site.bind(ctx, row, slices.Concat(a.Issued, kept)); err != nil {
		return err
	}
	if err := l.keptAlone(ctx, row.ID, kept); err != nil {
		return err
	}
	if err := l.site.Ledger.Success(ctx, l.receipt); err != nil {
		return err
	}
	if err := l.site.Weld.SealAnswer(l.answer.sent, row.ID); err != nil {
		return err
	}
	return l.site.Weld.Reseal(l.answer.sent, row.ID, kept, l.site.Place.Secure)
}

// keptAlone is an error where another node has bound a value that this login
// has kept, since the app got it: which of the two signed in last, nobody
// knows. The other session has ended by now.
func (l *login) keptAlone(ctx context.Context, id session.ID, kept []weld.Cookie) error {
	others, err := l.site.Weld.Holders(ctx, id, kept)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(others, func(other session.ID) bool { return !slices.Contains(l.holders, other) }) {
		return errKeptTwice
	}
	return nil
}

var errKeptTwice = errors.New("two logins have kept one cookie of the app's at once")
