package demo

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

const cookieName = "PORTALSESSID"

// session returns the value of the portal's cookie, or sets a new one. The
// portal keeps no list of them: the cookie only carries the form token.
func (p *portal) session(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(cookieName); err == nil && c.Value != "" {
		return c.Value
	}
	id := rand.Text()
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: id, Path: "/", HttpOnly: true})
	return id
}

// token is the form token of a session.
func (p *portal) token(session string) string {
	mac := hmac.New(sha256.New, p.tokenKey)
	mac.Write([]byte(session))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// tokenFits says whether given is the token of the cookie that came with r. A
// request without the cookie has none.
func (p *portal) tokenFits(r *http.Request, given string) bool {
	c, err := r.Cookie(cookieName)
	return err == nil && c.Value != "" && hmac.Equal([]byte(given), []byte(p.token(c.Value)))
}

// readForm parses an urlencoded form and checks its token. Where it returns
// false it has answered.
func (p *portal) readForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, formBytes)
	if err := r.ParseForm(); err != nil {
		p.say(w, r, http.StatusBadRequest, "Form not understood", "The form could not be read. Please try again.")
		return false
	}
	if !p.tokenFits(r, r.PostForm.Get("token")) {
		p.refuseToken(w, r)
		return false
	}
	return true
}

func (p *portal) refuseToken(w http.ResponseWriter, r *http.Request) {
	p.say(w, r, http.StatusForbidden, "Session expired",
		"Your portal session has expired or the form was not ours. Nothing was changed. Please open the form again.")
}
