package web

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"time"
)

// Why a Guard refuses. They come inside a Fail with status 403, ErrNotPost with 405.
var (
	// ErrNotPost: only POST changes anything.
	ErrNotPost = errors.New("not a POST")
	// ErrCrossSite: the request was not made by a page of this origin, or does not say so.
	ErrCrossSite = errors.New("request from another origin")
	// ErrToken: the form's token is missing, foreign or altered.
	ErrToken = errors.New("form token does not hold")
	// ErrOldForm: the form's token is one of ours, and older than a day.
	ErrOldForm = errors.New("form token is over")
)

const (
	tokenField   = "csrf_token"
	tokenPurpose = "web form token"
	tokenTTL     = 24 * time.Hour
	// tokenSkew lets nodes' clocks differ.
	tokenSkew = time.Minute

	tokenStampBytes = 8
	tokenSaltBytes  = 16
	tokenHeadBytes  = tokenStampBytes + tokenSaltBytes

	visitName  = "stepgate_visit"
	visitBytes = 16
)

// Guard refuses changes that no page of ours asked for (OWASP CSRF; ASVS
// 3.5.1). It is safe for concurrent use.
type Guard struct {
	// Site whose origin requests must come from.
	Site *Site
	// MAC authenticates parts for one purpose. It keeps parts apart: no two
	// lists of parts give the same input.
	MAC func(purpose string, parts ...[]byte) []byte
	// Verify tells whether MAC made mac, under its present key or an earlier
	// one, in constant time. Nil compares with MAC alone.
	Verify func(purpose string, mac []byte, parts ...[]byte) bool
	// Now is the clock.
	Now func() time.Time
}

// Token makes the token of one page's forms. Binding is what the browser is
// known by: something of its session that outlives a new session identifier,
// or else the value of Visit. An empty binding gives a token that never holds.
// The token differs each time, so that compression tells nothing about it.
func (g *Guard) Token(binding string) string {
	head := make([]byte, tokenHeadBytes)
	binary.BigEndian.PutUint64(head, uint64(g.Now().Unix()))
	rand.Read(head[tokenStampBytes:])
	return base64.RawURLEncoding.EncodeToString(append(head, g.mac(head, binding)...))
}

func (g *Guard) mac(head []byte, binding string) []byte {
	return g.MAC(tokenPurpose, head, []byte(binding))
}

func (g *Guard) verify(mac, head []byte, binding string) bool {
	if g.Verify != nil {
		return g.Verify(tokenPurpose, mac, head, []byte(binding))
	}
	return hmac.Equal(mac, g.mac(head, binding))
}

// Check lets r change something: a POST by a page of this origin, with a token
// made for the same binding in the last 24 hours. ReadForm comes first. Errors
// are *Fail around ErrNotPost, ErrCrossSite, ErrToken or ErrOldForm.
func (g *Guard) Check(r *http.Request, binding string) error {
	if r.Method != http.MethodPost {
		return &Fail{Status: http.StatusMethodNotAllowed, Allow: http.MethodPost, Err: ErrNotPost}
	}
	if !g.SameOrigin(r) {
		return &Fail{Status: http.StatusForbidden, Title: "forged.title", Advice: "forged.advice", Err: ErrCrossSite}
	}
	if err := g.holds(r.PostForm.Get(tokenField), binding); err != nil {
		return &Fail{Status: http.StatusForbidden, Title: "stale.title", Advice: "stale.advice", Err: err}
	}
	return nil
}

// SameOrigin tells whether a page of this very origin made the request. It
// believes Sec-Fetch-Site, which no script can set, before Origin.
func (g *Guard) SameOrigin(r *http.Request) bool {
	if site, said := fetchHeader(r, "Sec-Fetch-Site"); said {
		return site == "same-origin"
	}
	origin := r.Header.Values("Origin")
	return len(origin) == 1 && g.Site.Origin != "" && origin[0] == g.Site.Origin
}

// holds gives nil, ErrToken or ErrOldForm.
func (g *Guard) holds(token, binding string) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) <= tokenHeadBytes || binding == "" {
		return ErrToken
	}
	head, mac := raw[:tokenHeadBytes], raw[tokenHeadBytes:]
	if !g.verify(mac, head, binding) {
		return ErrToken
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(head)), 0)
	switch age := g.Now().Sub(made); {
	case age < -tokenSkew:
		return ErrToken
	case age >= tokenTTL:
		return ErrOldForm
	}
	return nil
}

// Visit is the binding of a browser that has no session: the value of a cookie
// of 128 random bits, which it sets where there is none. The cookie says
// nothing about anybody and ends with the browser. Call it before the answer
// is written.
func (g *Guard) Visit(w http.ResponseWriter, r *http.Request) string {
	cookie := http.Cookie{
		Name: visitName, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: g.Site.SecureCookies,
	}
	if cookie.Secure {
		cookie.Name = "__Host-" + visitName
	}
	for _, sent := range r.CookiesNamed(cookie.Name) {
		if validVisit(sent.Value) {
			return sent.Value
		}
	}
	var fresh [visitBytes]byte
	rand.Read(fresh[:])
	cookie.Value = base64.RawURLEncoding.EncodeToString(fresh[:])
	http.SetCookie(w, &cookie)
	// A second call in the same request finds what the first one set.
	r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	return cookie.Value
}

func validVisit(value string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	return err == nil && len(raw) == visitBytes
}
