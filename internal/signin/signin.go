package signin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

var (
	// ErrRefused says that the source does not vouch for this person: wrong
	// password, unknown name, suspended account, no password at all. The
	// page gives one text for all of them.
	ErrRefused = errors.New("signin: refused")
	// ErrSignedOut says that what came from an issuer is the answer to a
	// sign-out, and signs nobody in.
	ErrSignedOut = errors.New("signin: the answer to a sign-out")
	// ErrNobody says that a request asserts nobody: not signed in, which is
	// no failure.
	ErrNobody = errors.New("signin: nobody asserted")
)

// Identity is who a source says is at the door.
type Identity struct {
	// Source is the source's name in the configuration; Subject its own
	// stable identifier of the person. The pair is the key of the account.
	Source  string
	Subject string
	// Username is the name as the source writes it. It names a new account
	// and never finds one, unless Subject is empty (legacy_form without an
	// identity), and then only one that exists.
	Username string
	// Typed is the name as the person typed it; empty where none was. The
	// caller of the source fills it in.
	Typed string
	// Failed is how many tries had failed in a row before this one, of the name
	// or from the address. The caller of the source fills it in.
	Failed int
	// ByName says that the source knows people by names alone, which they may
	// be able to change. What Typed and Username lead to is then kept, and
	// never leads elsewhere unless the operator says so.
	ByName bool
	Name   string
	Email  string
	// Mobile is as the source has it, not yet E.164. Like Email it only
	// prefills: a credential comes from a code.
	Mobile string
	Groups []string
	// GroupsKnown says that Groups are all that the person is in. Without it
	// no groups mean that the source knows nothing of groups, and an operator
	// may have given some.
	GroupsKnown bool
	// Password is the mark of the password that was compared, where the
	// gateway keeps it: a session begins only if it still holds.
	Password account.PasswordMark
	// MayCreate allows an account to be made for a Subject that has none.
	MayCreate bool
	// Proved are the factors that were proved there besides the sign-in, by
	// the names that policies use, where the operator said that the source's
	// word counts (`trust_amr`); empty otherwise.
	Proved []string
	// At is when the person proved who they are; zero where the source does
	// not say, and then it was now.
	At time.Time
	// IssuerSession is the issuer's own name for the sign-in, where it may
	// later say that this one has ended; "" otherwise.
	IssuerSession string
	// Note is what the source wants back to sign the person out where they
	// signed in (Ender); nil for nothing.
	Note []byte
}

// Source is a sign-in source. Implementations are safe for concurrent use.
type Source interface {
	// Name is the source's name in the configuration ("local").
	Name() string
}

// PasswordChecker compares a name and a password.
type PasswordChecker interface {
	Source
	// CheckPassword returns who it is, or ErrRefused after the same time
	// whatever the reason. username is as typed. Any other error is
	// technical, and the same for every name.
	CheckPassword(ctx context.Context, username string, password account.Secret) (Identity, error)
}

// PasswordBound is a PasswordChecker whose app wants the password itself, so
// that nobody signs in by other means alone.
type PasswordBound interface {
	PasswordChecker
	OnlyByPassword()
}

// Lookup is a value that an earlier handler left with the request, by its
// placeholder's name ("http.auth.user.id"); "" where there is none.
type Lookup func(placeholder string) string

// Asserter tells from a request who somebody else has let in.
type Asserter interface {
	Source
	// Assert returns who it is, ErrNobody where the request names nobody, or
	// ErrRefused where it names somebody in a way that is not to be believed.
	// It is asked at every request, so it waits for nothing.
	Assert(r *http.Request, earlier Lookup) (Identity, error)
}

// Departure is a browser about to be sent to an issuer.
type Departure struct {
	// Key is what the browser will bring back beside the answer, so that the
	// caller finds the departure again: random, and used once.
	Key string
	// Callback is the absolute URL at which the browser comes back.
	Callback string
	// Fresh asks the issuer to have the person sign in anew.
	Fresh bool
	// Hint is the name that the person has typed, where its domain has led to
	// this source; "" where none was.
	Hint string
	// Language is the BCP 47 tag of the page.
	Language string
}

// Return is a browser that came back.
type Return struct {
	Callback string
	// State is what Depart gave, from the same browser.
	State []byte
	Query url.Values
	// Answer is what Receive made of what the browser had to post before; nil
	// for other sources.
	Answer *Answer
}

// Answer is what an issuer had a browser post.
type Answer struct {
	Identity Identity
	// Key is that of the departure that is answered.
	Key string
	// ID is the answer's own name, and Until when the issuer's answer of that
	// name can no longer come again.
	ID    string
	Until time.Time
}

// Receiver is a Redirector whose issuer has the browser post its answer, without
// the cookie of the departure (SAML). The caller keeps each Answer once, under
// its ID, and hands it to Arrive with the departure's state.
type Receiver interface {
	Redirector
	// Receive checks an answer. page is the absolute URL that it came to.
	// ErrNobody says that it is from another issuer, ErrSignedOut that it
	// answers a sign-out: nothing follows from it but that the browser is back.
	Receive(ctx context.Context, page string, form url.Values) (Answer, error)
	// Metadata is what the issuer is to know of that page, as XML.
	Metadata(page string) ([]byte, error)
}

// Redirector sends the browser to an issuer and back.
type Redirector interface {
	Source
	// Depart returns where to send the browser, and a state that the caller
	// seals in that browser and hands to Arrive once.
	Depart(ctx context.Context, d Departure) (location string, state []byte, err error)
	// Arrive checks what the browser brought. ErrRefused covers the issuer's
	// refusals and answers that belong to another departure.
	Arrive(ctx context.Context, r Return) (Identity, error)
}

// Ended is whose sessions an issuer says are over: one session of the
// issuer's, or all of a subject where it names none.
type Ended struct {
	Subject, IssuerSession string
	// Answer is where to send the browser with the answer; "" where the
	// issuer wants none.
	Answer string
}

// LogoutHearer is a source whose issuer tells by itself that somebody has
// signed out there.
type LogoutHearer interface {
	Source
	// HearLogout reads what the issuer sent, or had the browser ask for, to the
	// page of this absolute URL; r's forms have been parsed. ErrNobody says
	// that it is not from this source's issuer, ErrRefused that it is not to be
	// believed. Other errors are technical.
	HearLogout(r *http.Request, page string) (Ended, error)
}

// Ender is a source that can sign people out where they signed in.
type Ender interface {
	Source
	// SignOut returns where to send the browser of somebody who has signed
	// out, with the Identity's Note; "" for nowhere. From there the browser
	// comes back to an absolute URL.
	SignOut(ctx context.Context, note []byte, back string) (location string, err error)
}

// Labelled is a source that the operator has given a name for people to read,
// on the button that leads to it.
type Labelled interface {
	Source
	Label() string
}

// Observer watches the legacy app's own login form and the app's answer. What
// it makes of them is between it and the handler (package legacyform); the
// ceremonies only need to know where the form is.
type Observer interface {
	Source
	// LoginTarget is the path and query where people without a session go.
	LoginTarget() string
}

// Boxed is an Observer whose app asks by a box of the browser's. That answers
// by itself with what was typed into it before, so that nobody can be asked
// there for their password again.
type Boxed interface {
	Observer
	AsksInBox()
}
