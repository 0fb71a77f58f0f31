package people

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
)

// Told is what a person is told of: the first part of its texts' names in the
// template files, one a language, in the directory notices.
type Told string

// What people are told of (contract, section 8; SP 800-63B-4 §4.6).
const (
	ToldFactorAdded       Told = "factor-added"
	ToldFactorChanged     Told = "factor-changed"
	ToldFactorRemoved     Told = "factor-removed"
	ToldFactorsReset      Told = "factors-reset"
	ToldBackupCodeUsed    Told = "backup-code-used"
	ToldTwoFactorOn       Told = "two-factor-on"
	ToldTwoFactorOff      Told = "two-factor-off"
	ToldEmailChanged      Told = "email-changed"
	ToldMobileChanged     Told = "mobile-changed"
	ToldPasswordChanged   Told = "password-changed"
	ToldPasswordReset     Told = "password-reset"
	ToldTemporaryCode     Told = "temporary-code"
	ToldTokenAdded        Told = "token-added"
	ToldTokenRevoked      Told = "token-revoked"
	ToldDeviceAdded       Told = "device-added"
	ToldDeviceRemoved     Told = "device-removed"
	ToldDeviceLocked      Told = "device-locked"
	ToldBrowserCopied     Told = "browser-copied"
	ToldSignInFromNew     Told = "sign-in-from-new"
	ToldDisowned          Told = "disowned"
	ToldPhoneLocked       Told = "phone-locked"
	ToldRequestDenied     Told = "request-denied"
	ToldHelpdeskDenied    Told = "helpdesk-denied"
	toldByText                 = "text-message"
	toldRest                   = "rest"
	toldWaits                  = "waits"
	toldByStaff                = "by-staff"
	toldFromNowhere            = "from-nowhere"
	defaultNoticeLanguage      = "en"
)

// Whence is where something was done from, as far as a person is told.
type Whence struct {
	// Address is the client's, Place where that is; both may be empty.
	Address, Place string
	// Staff says that an administrator or a command did it, whose address is
	// nobody's business.
	Staff bool
}

// Notice is something that happened to an account and that its owner is told
// of.
type Notice struct {
	What Told
	// Account is as it is now, Before as it was where an address changed.
	Account account.Account
	Before  *account.Account
	// Credential is the one that it is about, if it is about one.
	Credential account.Credential
	// Held are the account's credentials. A credential that has to wait before
	// it counts is told to each of their addresses, so that there is time to
	// object; where the account has no address for mail, mail goes to theirs.
	Held []account.Credential
	From Whence
	// About is the username of somebody else, where it is about one.
	About string
	At    time.Time
}

// Notices writes what people are told, in the words of one site.
type Notices struct {
	// Name is how the site is called, Origin its address, Help what it says
	// about help.
	Name, Origin, Help string
	// Languages are the site's, the default first; none is English.
	Languages []string
	// Zone is that of the times; nil is UTC, which is then named beside them.
	Zone *time.Location
	// Offers tells whether a channel has a provider.
	Offers func(channel string) bool
	// Wake is called once messages have been kept; nil calls nobody.
	Wake func()
}

// noticeTexts are the template files by language.
var noticeTexts = readNotices()

//go:embed notices/*.json
var noticeFiles embed.FS

func readNotices() map[string]map[string]string {
	all := map[string]map[string]string{}
	files, err := noticeFiles.ReadDir("notices")
	if err != nil {
		panic(err) // the directory is compiled in
	}
	for _, f := range files {
		raw, err := noticeFiles.ReadFile(path.Join("notices", f.Name()))
		texts := map[string]string{}
		if err == nil {
			err = json.Unmarshal(raw, &texts)
		}
		if err != nil {
			panic(err)
		}
		all[strings.TrimSuffix(f.Name(), ".json")] = texts
	}
	return all
}

// noticeText is a text in a language, or in English.
func noticeText(language, id string) string {
	if text, ok := noticeTexts[language][id]; ok {
		return text
	}
	return noticeTexts[defaultNoticeLanguage][id]
}

// Messages are those of a notice, one to each place, for the transaction
// that does what it tells of: so none is lost, and none goes out for what did
// not happen.
func (n *Notices) Messages(told Notice) []delivery.Queued {
	if n == nil || noticeText(defaultNoticeLanguage, string(told.What)+".text") == "" {
		return nil
	}
	mail := delivery.Message{Subject: n.subject(told), Body: n.body(told)}
	short := delivery.Message{Body: n.short(told)}
	var all []delivery.Queued
	for _, channel := range []string{delivery.Email, delivery.SMS} {
		if n.Offers == nil || !n.Offers(channel) {
			continue
		}
		m := mail
		if channel == delivery.SMS {
			m = short
		}
		for _, address := range told.addresses(channel) {
			m.ID, m.Channel, m.To, m.Account, m.ExpiresAt = rand.Text(), channel, address, string(told.Account.ID), told.At.Add(noticeLife)
			all = append(all, delivery.Queued{Message: m, DueAt: told.At})
		}
	}
	return all
}

// noticeLife is how long a notice is tried.
const noticeLife = 48 * time.Hour

// addresses are where a notice goes by a channel, each once. What was just
// added is not told of itself.
func (t Notice) addresses(channel string) []string {
	var to []string
	add := func(address string) {
		if address != "" && !slices.Contains(to, address) {
			to = append(to, address)
		}
	}
	own := func(a account.Account) string {
		if channel == delivery.SMS {
			return a.Mobile
		}
		return a.Email
	}
	if channel == delivery.Email || t.What == ToldMobileChanged {
		add(own(t.Account))
		if t.Before != nil {
			add(own(*t.Before))
		}
	}
	if t.What == ToldFactorRemoved && t.Credential.Factor == channel {
		add(t.Credential.Address)
	}
	everywhere := t.What == ToldFactorAdded && !t.Credential.CountsFrom.IsZero() || channel == delivery.Email && len(to) == 0
	for _, c := range t.Held {
		if everywhere && c.ID != t.Credential.ID && c.Factor == channel {
			add(c.Address)
		}
	}
	return to
}

func (n *Notices) subject(t Notice) string {
	language := n.languages()[0]
	return n.Name + ": " + n.filled(language, t).Replace(noticeText(language, string(t.What)+".subject"))
}

// body has the notice in all languages of the site: nobody knows which of
// them the person reads.
func (n *Notices) body(t Notice) string {
	var parts []string
	for _, language := range n.languages() {
		part := n.filled(language, t).Replace(n.first(language, t) + noticeText(language, toldRest))
		if n.Help != "" {
			part += n.Help + "\n"
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "\n----\n\n")
}

// first is the sentence that says what happened.
func (n *Notices) first(language string, t Notice) string {
	text := noticeText(language, string(t.What)+".text")
	if !t.Credential.CountsFrom.IsZero() && t.What == ToldFactorAdded {
		text += noticeText(language, toldWaits)
	}
	return text
}

// short is a notice as a text message, in the site's first language.
func (n *Notices) short(t Notice) string {
	language := n.languages()[0]
	return n.filled(language, t).Replace(strings.ReplaceAll(noticeText(language, toldByText), "{first}", n.first(language, t)))
}

func (n *Notices) languages() []string {
	if len(n.Languages) == 0 {
		return []string{defaultNoticeLanguage}
	}
	return n.Languages
}

// filled puts a notice's own words into a text. What people call their things
// is not read again for more of them.
func (n *Notices) filled(language string, t Notice) *strings.Replacer {
	return strings.NewReplacer(
		"{credential}", t.Credential.Called(language), "{about}", t.About, "{account}", t.Account.Username, "{name}", n.Name, "{site}", n.Origin,
		"{when}", n.moment(t.At), "{from}", t.From.in(language), "{counts}", n.moment(t.Credential.CountsFrom),
	)
}

// in is where something was done from, in words.
func (w Whence) in(language string) string {
	switch {
	case w.Staff:
		return noticeText(language, toldByStaff)
	case w.Address == "":
		return noticeText(language, toldFromNowhere)
	case w.Place != "":
		return w.Place + " (" + w.Address + ")"
	default:
		return w.Address
	}
}

// moment is a time as messages write it, in the site's own zone.
func (n *Notices) moment(at time.Time) string {
	if n.Zone != nil {
		return at.In(n.Zone).Format("2006-01-02 15:04")
	}
	return at.UTC().Format("2006-01-02 15:04 UTC")
}

// maxNotices bounds the notices that wait. Over it nothing is changed that
// people have to be told of.
const maxNotices = 100_000

// tell keeps the messages of a notice in the transaction of what it tells of.
func (p *People) tell(ctx context.Context, tx Tx, n *Notices, told Notice) error {
	if n == nil {
		return nil
	}
	held, err := tx.Credentials(ctx, told.Account.ID)
	if err != nil {
		return fmt.Errorf("list credentials: %w", err)
	}
	told.Held, told.At = held, p.now()
	for _, k := range n.Messages(told) {
		if err := tx.QueueMessage(ctx, k, maxNotices); err != nil {
			return fmt.Errorf("keep a notice: %w", err)
		}
	}
	return nil
}

// wake lets what was kept go out.
func (n *Notices) wake() {
	if n != nil && n.Wake != nil {
		n.Wake()
	}
}
