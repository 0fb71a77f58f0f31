package weld

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/stepgate/stepgate/internal/session"
)

const (
	sealPurpose = "weld sealed cookie"
	// sealedMark begins every sealed value.
	sealedMark = "sg1."
)

func (w *Weld) context(name string, id session.ID) []byte {
	return []byte(w.Site + "\x00" + string(id) + "\x00" + name)
}

// unwrap opens a sealed value. kept tells whether it was one; what is sealed
// for another session comes back as it is, and is nobody's.
func (w *Weld) unwrap(c Cookie, id session.ID) (opened Cookie, kept bool) {
	text, marked := strings.CutPrefix(c.Value, sealedMark)
	if !marked || !w.Sealed {
		return c, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return c, true
	}
	plain, err := w.Ring.Open(sealPurpose, raw, w.context(c.Name, id))
	if err != nil {
		return c, true
	}
	return Cookie{c.Name, string(plain)}, true
}

// seal is the value that the browser gets instead.
func (w *Weld) seal(c Cookie, id session.ID) (string, error) {
	raw, err := w.Ring.Seal(sealPurpose, []byte(c.Value), w.context(c.Name, id))
	if err != nil {
		return "", err
	}
	return sealedMark + base64.RawURLEncoding.EncodeToString(raw), nil
}

// SealAnswer seals the session cookies that an answer gives to a session.
// Where they are not to be sealed it changes nothing. On an error the answer
// must not be sent.
func (w *Weld) SealAnswer(h http.Header, id session.ID) error {
	if !w.Sealed {
		return nil
	}
	lines := h["Set-Cookie"]
	for i, line := range lines {
		c, ok := ParseSetCookie(line, w.Now())
		if !ok || c.Gone || !w.Names.Has(c.Name) {
			continue
		}
		value, err := w.seal(c.Cookie, id)
		if err != nil {
			return err
		}
		lines[i] = c.Name + "=" + value + c.attributes
	}
	return nil
}

// Reseal gives the browser sealed cookies in place of plain ones that it
// holds already, for an app that keeps its cookies at sign-in.
func (w *Weld) Reseal(h http.Header, id session.ID, held []Cookie, secure bool) error {
	if !w.Sealed {
		return nil
	}
	for _, c := range held {
		value, err := w.seal(c, id)
		if err != nil {
			return err
		}
		cookie := http.Cookie{Name: c.Name, Value: value, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
		h.Add("Set-Cookie", cookie.String())
	}
	return nil
}
