package watched

import (
	"slices"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/weld"
)

// takeToken takes the Authorization header out of a request, unless the
// operator lets it pass. bears says that it has a bearer token of an app that
// knows people by them.
func (q *Request) takeToken() (token string, bears bool) {
	form := q.site.Form
	token, bears = weld.BearerToken(q.HTTP.Header)
	if bears = bears && form.Bears(); bears || !form.PassAuthorization() {
		delete(q.HTTP.Header, "Authorization")
	}
	return token, bears
}

// passTokens tells whether all bearer tokens of a request's address may reach
// the app.
func (q *Request) passTokens(tokens []string) bool {
	return !slices.ContainsFunc(tokens, func(token string) bool { return !q.passToken(token) })
}

// passToken tells whether a bearer token may reach the app: as the visitor's
// own, as nobody's on a public path, or as one that the app, asked, says is
// the same person's.
func (q *Request) passToken(token string) bool {
	s, ctx, id := q.site, q.HTTP.Context(), q.Visitor.id()
	pass, foreign := s.Weld.Token(ctx, token, id, q.bonds, q.Public)
	if foreign {
		q.noteForeign()
	}
	if pass || foreign || q.Visitor.Entry == nil {
		return pass
	}
	fresh, err := s.readBonds(ctx, q.Visitor) // another node may have bound it
	if err != nil {
		s.Log.Error("read bound tokens", zap.Error(err))
		return false
	}
	if pass, _ = s.Weld.Token(ctx, token, id, fresh, false); pass {
		return true
	}
	return q.confirmToken(token)
}

// confirmToken binds a token that the app says is the visitor's.
func (q *Request) confirmToken(token string) bool {
	s := q.site
	if !q.mayConfirm() {
		return false
	}
	ctx := q.HTTP.Context()
	who, err := s.Form.Who(legacyform.WithBearer(ctx, token), q.ask(), "")
	if err == nil && s.isVisitor(ctx, q.Visitor, who) {
		return s.bind(ctx, q.Visitor.Entry.Session, []weld.Cookie{{Name: weld.Bearer, Value: token}}) == nil
	}
	q.disowned()
	return false
}
