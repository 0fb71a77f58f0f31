package device

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

const (
	cookieName = "stepgate_device"
	purpose    = "device"
	// maxHeld bounds the cookie: a browser is a private device of so many
	// accounts.
	maxHeld = 5
)

// Sealer seals with the key ring (keys.Ring).
type Sealer interface {
	Seal(purpose string, plaintext, associated []byte) ([]byte, error)
	Open(purpose string, sealed, associated []byte) ([]byte, error)
}

// Held is one account whose private device a browser says it is.
type Held struct {
	Account account.ID           `json:"a"`
	Device  account.CredentialID `json:"d"`
	// Until is when that ends, in unix seconds.
	Until int64 `json:"u"`
}

// Cookie is the cookie of a site's private devices.
type Cookie struct {
	Sealer Sealer
	Origin string
	Secure bool
	Now    func() time.Time
}

func (c Cookie) name() string {
	if c.Secure {
		return "__Host-" + cookieName
	}
	return cookieName
}

// Of is the device that a browser says it is of an account; empty for none, for
// one that has ended, and for a cookie that cannot be read or is there twice.
func (c Cookie) Of(r *http.Request, owner account.ID) account.CredentialID {
	for _, h := range c.read(r) {
		if h.Account == owner && c.Now().Before(time.Unix(h.Until, 0)) {
			return h.Device
		}
	}
	return ""
}

func (c Cookie) read(r *http.Request) []Held {
	sent := r.CookiesNamed(c.name())
	if len(sent) != 1 {
		return nil
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(sent[0].Value)
	if err != nil {
		return nil
	}
	plain, err := c.Sealer.Open(purpose, sealed, []byte(c.Origin))
	var all []Held
	if err != nil || json.Unmarshal(plain, &all) != nil {
		return nil
	}
	return all
}

// Keep makes a browser say that it is h, beside what it says of other accounts.
func (c Cookie) Keep(w http.ResponseWriter, r *http.Request, h Held) error {
	all := append(c.others(r, h.Account), h)
	return c.write(w, all[max(0, len(all)-maxHeld):])
}

// Forget makes a browser say nothing of an account any more.
func (c Cookie) Forget(w http.ResponseWriter, r *http.Request, owner account.ID) error {
	before := c.read(r)
	rest := c.others(r, owner)
	if len(rest) == len(before) {
		return nil
	}
	return c.write(w, rest)
}

func (c Cookie) others(r *http.Request, owner account.ID) []Held {
	return slices.DeleteFunc(c.read(r), func(h Held) bool { return h.Account == owner })
}

func (c Cookie) write(w http.ResponseWriter, all []Held) error {
	cookie := &http.Cookie{Name: c.name(), Path: "/", MaxAge: -1, Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if len(all) > 0 {
		plain, err := json.Marshal(all)
		if err != nil {
			return err
		}
		sealed, err := c.Sealer.Seal(purpose, plain, []byte(c.Origin))
		if err != nil {
			return err
		}
		last := slices.MaxFunc(all, func(a, b Held) int { return int(a.Until - b.Until) })
		cookie.Value = base64.RawURLEncoding.EncodeToString(sealed)
		cookie.MaxAge = max(1, int(time.Unix(last.Until, 0).Sub(c.Now()).Seconds()))
	}
	http.SetCookie(w, cookie)
	return nil
}
