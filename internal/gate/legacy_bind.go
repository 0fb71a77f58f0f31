package gate

import (
	"context"
	"errors"
	"slices"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/weld"
)

// bind welds the app's cookies to the session that its login began.
func (l *watchedLogin) bind(entered *session.Entry, a legacyform.Accepted) error {
	ctx, session := l.r.Context(), entered.Session
	var kept []weld.Cookie
	for _, c := range a.Carried {
		// The app keeps the cookie that the browser had before. Somebody else
		// may have put it there, so that it is bound only if the app says, of
		// this cookie alone, that it is this person's.
		who, err := l.Form.Who(ctx, l.ask, join(l.Form.Cookies().Others(l.login.Cookies), c))
		if err == nil && who.Username == a.Username {
			kept = append(kept, c)
		}
	}
	others, err := l.live.weld.Bind(ctx, session.ID, session.EndsAt, slices.Concat(a.Issued, kept))
	if err := errors.Join(err, l.endAll(ctx, l.live, others)); err != nil {
		return err
	}
	if err := l.keptAlone(ctx, session.ID, kept); err != nil {
		return err
	}
	if err := l.live.Ledger.Success(ctx, l.receipt); err != nil {
		return err
	}
	if err := l.live.weld.SealAnswer(l.answer.sent, session.ID); err != nil {
		return err
	}
	return l.live.weld.Reseal(l.answer.sent, session.ID, kept, l.live.Ceremonies.Place.Secure)
}

// keptAlone is an error where another node has bound a value that this login
// has kept, since the app got it: which of the two signed in last, nobody
// knows. The other session has ended by now.
func (l *watchedLogin) keptAlone(ctx context.Context, id session.ID, kept []weld.Cookie) error {
	others, err := l.live.weld.Holders(ctx, id, kept)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(others, func(other session.ID) bool { return !slices.Contains(l.holders, other) }) {
		return errKeptTwice
	}
	return nil
}

var errKeptTwice = errors.New("two logins have kept one cookie of the app's at once")

func join(line string, c weld.Cookie) string {
	if line != "" {
		line += "; "
	}
	return line + c.Name + "=" + c.Value
}
