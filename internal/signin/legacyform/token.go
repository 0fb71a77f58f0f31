package legacyform

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/weld"
)

// tokenField is the field by which a token may come in a query or a body
// (RFC 6750 §2.2, §2.3).
const tokenField = "access_token"

// tokenLike is what can be a bearer token (RFC 6750 §2.1) that nobody guesses.
var tokenLike = regexp.MustCompile(`^[A-Za-z0-9._~+/-]{20,}=*$`)

const (
	// maxTokens bounds what of one answer is taken for tokens, maxAsked with
	// how many of them the app is asked who it is.
	maxTokens = 16
	maxAsked  = 4
)

// Bears tells whether the app knows people by bearer tokens that its login
// hands out.
func (f *Form) Bears() bool { return f.json || f.token != nil }

// tokens are the bearer tokens that a login's answer hands out: what
// session_token points to, or every text that can be one, those that are
// called so first.
func (f *Form) tokens(a *Answer) (found []weld.Cookie) {
	text, whole := a.text()
	if !f.Bears() || !whole {
		return nil
	}
	document, err := readJSON(text)
	if err != nil {
		return nil
	}
	var all []string
	if f.token != nil {
		value, _ := f.token.in(document)
		if text, ok := value.(string); ok {
			all = []string{text}
		}
	} else {
		all = texts(document)
	}
	for _, text := range all {
		if tokenLike.MatchString(text) && strings.ContainsAny(text, "0123456789") && len(found) < maxTokens {
			found = append(found, weld.Cookie{Name: weld.Bearer, Value: text})
		}
	}
	return found
}

// texts are the strings of a document, those in members that are called
// access or token before the others.
func texts(document any) (found []string) {
	switch at := document.(type) {
	case string:
		return []string{at}
	case []any:
		for _, value := range at {
			found = append(found, texts(value)...)
		}
	case map[string]any:
		likely := func(name string) int {
			name = strings.ToLower(name)
			switch {
			case strings.Contains(name, "access"):
				return 0
			case strings.Contains(name, "token"):
				return 1
			default:
				return 2
			}
		}
		names := slices.Sorted(maps.Keys(at))
		slices.SortStableFunc(names, func(a, b string) int { return likely(a) - likely(b) })
		for _, name := range names {
			found = append(found, texts(at[name])...)
		}
	}
	return found
}

type bearerKey struct{}

// WithBearer is a context in which Ask shows the app a token besides cookies.
func WithBearer(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, bearerKey{}, token)
}

// BearerOf is the token that Ask has to show the app, "" for none.
func BearerOf(ctx context.Context) string {
	token, _ := ctx.Value(bearerKey{}).(string)
	return token
}

// whoBears asks the app who somebody is who has one of these tokens.
func (f *Form) whoBears(ctx context.Context, ask Ask, tokens []weld.Cookie, cookies string) (who signin.Identity, err error) {
	err = ErrNobody
	for _, t := range tokens[:min(len(tokens), maxAsked)] {
		if who, err = f.Who(WithBearer(ctx, t.Value), ask, cookies); err == nil {
			return who, nil
		}
	}
	return who, err
}

var tokenNames, _ = weld.CompileNames([]string{tokenField})

// TokensInURL lists the bearer tokens in a raw path and query.
func (f *Form) TokensInURL(path, query string) (found []string) {
	if !f.Bears() {
		return nil
	}
	for _, c := range tokenNames.InURL(path, query) {
		found = append(found, c.Value)
	}
	return found
}
