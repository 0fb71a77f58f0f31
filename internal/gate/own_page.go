package gate

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/upstreambasic"
	"github.com/stepgate/stepgate/internal/web"
)

// This file is for an app that asks by itself where people type into the
// gateway's own page instead (sign_in upstream_basic, own_page). The app wants
// the password with every request. The gateway keeps none: the browser does,
// in a cookie that only the gateway can open, beside the session's and no
// longer than it.

const (
	credentialsCookie  = "stepgate_app"
	credentialsPurpose = "upstream basic credentials"
	// credentialsSkew is how far the clocks of two nodes may be apart.
	credentialsSkew = time.Minute
)

var errAsksOtherwise = errors.New("the application does not ask with HTTP Basic: only the browser's own box can answer it (sign_in upstream_basic, own_page)")

// atDesk has the gateway's pages compare passwords at the app, by the way of
// this request, and keeps what it has accepted in the browser.
func (h basics) atDesk(w http.ResponseWriter, r *http.Request, next Next) (http.ResponseWriter, *http.Request) {
	if h.Basic == nil || !h.Basic.OwnPage() {
		return w, r
	}
	app := h.atApp(r, next)
	desk := &upstreambasic.Desk{Compare: func(ctx context.Context, c upstreambasic.Credentials) error {
		bare, err := app.question(ctx)
		switch {
		case err != nil:
			return err
		case !asksWith(bare, "Basic"):
			return &web.Fail{Status: http.StatusForbidden, Title: "fail.basic.title", Advice: "fail.basic.advice", Err: errAsksOtherwise}
		}
		_, err = app.accepts(ctx, c)
		return err
	}}
	return &deskWriter{ResponseWriter: w, handler: h, desk: desk}, r.WithContext(upstreambasic.AtDesk(r.Context(), desk))
}

// deskWriter gives the browser what the app has accepted, where it gives it the
// session's cookie, and takes it away with that.
type deskWriter struct {
	http.ResponseWriter
	handler basics
	desk    *upstreambasic.Desk
	sent    bool
}

// Unwrap is for http.ResponseController.
func (w *deskWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *deskWriter) WriteHeader(status int) {
	if !w.sent {
		w.sent = true
		w.handler.giveCredentials(w.ResponseWriter, w.desk.Accepted)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *deskWriter) Write(p []byte) (int, error) {
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// giveCredentials follows the session's cookie in an answer of the gateway.
func (h basics) giveCredentials(w http.ResponseWriter, accepted *upstreambasic.Credentials) {
	live := h.live.Load()
	if live == nil {
		return
	}
	place := live.Ceremonies.Place
	switch {
	case accepted != nil && given(w.Header(), place.Cookie) != "":
		value, err := h.sealCredentials(live, *accepted)
		if err != nil {
			h.Log.Error("seal what the application has accepted", zap.Error(err))
			return
		}
		http.SetCookie(w, h.credentialsCookie(live, value, 0))
	case taken(w.Header(), place.Cookie):
		http.SetCookie(w, h.credentialsCookie(live, "", -1))
	}
}

func (h basics) credentialsCookie(live *Live, value string, maxAge int) *http.Cookie {
	secure, name := live.Ceremonies.Place.Secure, credentialsCookie
	if secure {
		name = "__Host-" + name
	}
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge, Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// sealCredentials seals for one person, with the time.
func (h basics) sealCredentials(live *Live, c upstreambasic.Credentials) (string, error) {
	plain := binary.BigEndian.AppendUint64(nil, uint64(live.now().Unix()))
	plain = append(plain, c.Line.Reveal()...)
	sealed, err := live.Ring.Seal(credentialsPurpose, plain, h.credentialsOf(h.Basic.Who(c.Username).Subject))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

func (h basics) credentialsOf(subject string) []byte {
	return []byte(h.Origin + "\x00" + h.Basic.Name() + "\x00" + subject)
}

// openCredentials are those that a visitor's browser holds of their own, made
// in this very session.
func (h basics) openCredentials(r *http.Request, v visitor) (c upstreambasic.Credentials, ok bool) {
	live := h.live.Load()
	found := r.CookiesNamed(h.credentialsCookie(live, "", 0).Name)
	if len(found) != 1 || v.entry.Owner.Account.Source != h.Basic.Name() {
		return c, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(found[0].Value)
	if err != nil {
		return c, false
	}
	plain, err := live.Ring.Open(credentialsPurpose, sealed, h.credentialsOf(v.entry.Owner.Account.Subject))
	if err != nil || len(plain) < 8 {
		return c, false
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(plain)), 0)
	if at.Before(v.entry.Session.CreatedAt.Add(-credentialsSkew)) {
		return c, false // of an earlier session
	}
	return upstreambasic.Read(http.Header{"Authorization": {string(account.Secret(plain[8:]).Reveal())}})
}

// asking is the app's own question to somebody who signed in at the gateway's
// page: their browser is not to see it.
type asking struct {
	handler basics
	visitor visitor
	app     atApp
}

// keepQuestion keeps the box of the browser away. Where the app does not accept
// its person any more, as when the password has changed, the session ends, and
// the person is asked anew.
func (a *Answer) keepQuestion(h http.Header) fate {
	if a.asking == nil || a.status != http.StatusUnauthorized {
		return goes
	}
	keepStrings(h, "Www-Authenticate", h["Www-Authenticate"], func(c string) bool { return !challengesAs(c, "Basic") })
	if !landing(a.Request) || a.asking.stillAccepted(a.Request) {
		return goes
	}
	return a.replace(a.asking.anew(a.Request))
}

// stillAccepted asks the app with what went to it. Where that cannot be known
// it stays as it is.
func (q *asking) stillAccepted(r *http.Request) bool {
	c, named := upstreambasic.Read(r.Header)
	if !named {
		return false
	}
	_, err := q.app.accepts(r.Context(), c)
	return !errors.Is(err, signin.ErrRefused)
}

// anew ends the session, and has the browser come again as nobody.
func (q *asking) anew(r *http.Request) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		h, live := q.handler, q.handler.live.Load()
		clear(w.Header())
		if err := live.Ceremonies.Leave(context.WithoutCancel(r.Context()), w, r, q.visitor.entry); err != nil {
			h.Log.Error("end the session of somebody whom the application does not accept any more", zap.Error(err))
		}
		http.SetCookie(w, h.credentialsCookie(live, "", -1))
		again(w, r.RequestURI)
	}
}

// taken tells whether an answer takes a cookie away.
func taken(h http.Header, name string) bool {
	for _, line := range h["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == name && c.MaxAge < 0 {
			return true
		}
	}
	return false
}
