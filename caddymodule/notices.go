package caddymodule

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/backupcode"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/web"
)

// noticeTexts are what a person is told by e-mail about their own credentials
// (contract, section 8; SP 800-63B-4 §4.6): subject and first sentence.
var noticeTexts = map[string][2]factors.Words{
	challenge.NoticeEnrolled: {
		{"en": "A way to confirm it is you was added", "cy": "Ychwanegwyd ffordd o gadarnhau mai chi sydd yno"},
		{
			"en": "A way to confirm that it is you was added to your account: {credential}.",
			"cy": "Ychwanegwyd ffordd o gadarnhau mai chi sydd yno at eich cyfrif: {credential}.",
		},
	},
	backupcode.NoticeUsed: {
		{"en": "One of your backup codes was used", "cy": "Defnyddiwyd un o'ch codau wrth gefn"},
		{
			"en": "Someone signed in to your account with one of your backup codes ({credential}).",
			"cy": "Mewngofnododd rhywun i'ch cyfrif gydag un o'ch codau wrth gefn ({credential}).",
		},
	},
}

// noticeRest follows the first sentence: plain text without links, so that
// nobody learns to follow one.
var noticeRest = factors.Words{
	"en": `

Account: {account}
Service: {name} ({site})
When: {when}

If this was you, there is nothing to do.
If it was not, somebody may know your password. Ask for help at once.
`,
	"cy": `

Cyfrif: {account}
Gwasanaeth: {name} ({site})
Pryd: {when}

Os mai chi wnaeth hyn, nid oes angen gwneud dim.
Os na, efallai fod rhywun yn gwybod eich cyfrinair. Gofynnwch am help ar unwaith.
`,
}

// noticeWaits follows the first sentence where the credential has to wait.
var noticeWaits = factors.Words{
	"en": " It counts for every page from {from}.",
	"cy": " Mae'n cyfrif ar gyfer pob tudalen o {from}.",
}

// noticeText is what goes out by text message.
var noticeText = factors.Words{
	"en": "{name}: {first} If this was not you, ask for help at once.",
	"cy": "{name}: {first} Os nad chi wnaeth hyn, gofynnwch am help ar unwaith.",
}

// tell queues messages about a change to somebody's credentials: an e-mail,
// and where a credential has to wait one to each number and address that was
// confirmed before. They go out after the change, by the outbox, and hold up
// nothing.
func (h *Handler) tell(r *runtime) func(context.Context, challenge.Notice) {
	return func(ctx context.Context, n challenge.Notice) {
		text, known := noticeTexts[n.Key]
		if !known {
			return
		}
		first := text[1]
		if !n.Credential.CountsFrom.IsZero() {
			first = factors.Words{}
			for language := range text[1] {
				first[language] = text[1][language] + noticeWaits.In(language)
			}
		}
		ctx = context.WithoutCancel(ctx)
		for _, m := range h.noticesTo(n, text[0], first) {
			if !r.outbox.Offers(m.Channel) {
				continue
			}
			if err := r.outbox.Post(ctx, m); err != nil {
				h.logger.Error("tell a person of a change to their credentials", zap.String("notice", n.Key), zap.Error(err))
			}
		}
	}
}

// noticesTo are the messages of a notice, one to each place. What was just
// added is not told of itself.
func (h *Handler) noticesTo(n challenge.Notice, subject, first factors.Words) []delivery.Message {
	to := map[string][]string{delivery.Email: {n.Account.Email}}
	for _, c := range n.Held {
		if c.ID != n.Credential.ID && c.Factor != "" {
			to[c.Factor] = append(to[c.Factor], c.Address)
		}
	}
	mail := delivery.Message{Subject: h.web.Name + ": " + subject.In(h.languages()[0]), Body: h.noticeBody(first, n, time.Now())}
	short := delivery.Message{Body: h.noticeShort(first, n)}
	var all []delivery.Message
	for channel, m := range map[string]delivery.Message{delivery.Email: mail, delivery.SMS: short} {
		slices.Sort(to[channel])
		for _, address := range slices.Compact(to[channel]) {
			if address != "" {
				m.Channel, m.To, m.Account = channel, address, string(n.Account.ID)
				all = append(all, m)
			}
		}
	}
	return all
}

// noticeShort is a notice as a text message, in the site's first language.
func (h *Handler) noticeShort(first factors.Words, n challenge.Notice) string {
	language := h.languages()[0]
	return h.filled(n, time.Now()).Replace(strings.ReplaceAll(noticeText.In(language), "{first}", first.In(language)))
}

// languages are the site's, the default first.
func (h *Handler) languages() []string {
	if len(h.web.Languages) == 0 {
		return []string{web.DefaultLanguage}
	}
	return h.web.Languages
}

// noticeBody has the notice in all languages of the site: nobody knows which
// of them the person reads.
func (h *Handler) noticeBody(first factors.Words, n challenge.Notice, now time.Time) string {
	fill := h.filled(n, now)
	var parts []string
	for _, language := range h.languages() {
		part := fill.Replace(first.In(language) + noticeRest.In(language))
		if h.web.Help != "" {
			part += h.web.Help + "\n"
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "\n----\n\n")
}

// filled puts a notice's own words into a text.
func (h *Handler) filled(n challenge.Notice, now time.Time) *strings.Replacer {
	return strings.NewReplacer(
		"{credential}", n.Credential.Label, "{account}", n.Account.Username, "{name}", h.web.Name, "{site}", n.Site,
		"{when}", h.moment(now), "{from}", h.moment(n.Credential.CountsFrom),
	)
}

// moment is a time as messages write it, in the site's own zone.
func (h *Handler) moment(at time.Time) string {
	if zone := h.web.Zone; zone != nil {
		return at.In(zone).Format("2006-01-02 15:04")
	}
	return at.UTC().Format("2006-01-02 15:04 UTC")
}
