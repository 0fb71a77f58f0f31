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

// tell queues an e-mail about a change to somebody's credentials. It goes out
// after the change, by the outbox, and holds up nothing; without a provider or
// an address nobody is told.
func (h *Handler) tell(r *runtime) func(context.Context, challenge.Notice) {
	return func(ctx context.Context, n challenge.Notice) {
		text, known := noticeTexts[n.Key]
		if !known || n.Account.Email == "" || !r.outbox.Offers(delivery.Email) {
			return
		}
		ctx = context.WithoutCancel(ctx)
		err := r.outbox.Post(ctx, delivery.Message{
			Channel: delivery.Email, To: n.Account.Email, Account: string(n.Account.ID),
			Subject: h.web.Name + ": " + text[0].In(h.languages()[0]), Body: h.noticeBody(text[1], n, time.Now()),
		})
		if err != nil {
			h.logger.Error("tell a person of a change to their credentials", zap.String("notice", n.Key), zap.Error(err))
		}
	}
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
	when := now.UTC().Format("2006-01-02 15:04 UTC")
	if zone := h.web.Zone; zone != nil {
		when = now.In(zone).Format("2006-01-02 15:04")
	}
	fill := strings.NewReplacer(
		"{credential}", n.Credential.Label, "{account}", n.Account.Username, "{name}", h.web.Name, "{site}", n.Site, "{when}", when,
	)
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
