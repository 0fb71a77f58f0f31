package caddymodule

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/factors/backupcode"
	"github.com/stepgate/stepgate/factors/delivery"
)

// noticeTexts are what a person is told by e-mail about their own credentials
// (contract, section 8; SP 800-63B-4 §4.6): subject and first sentence.
var noticeTexts = map[string][2]string{
	challenge.NoticeEnrolled: {
		"A way to confirm it is you was added",
		"A way to confirm that it is you was added to your account: %s.",
	},
	backupcode.NoticeUsed: {
		"One of your backup codes was used",
		"Someone signed in to your account with one of your backup codes (%s).",
	},
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
			Subject: h.web.Name + ": " + text[0], Body: h.noticeBody(text[1], n, time.Now().UTC()),
		})
		if err != nil {
			h.logger.Error("tell a person of a change to their credentials", zap.String("notice", n.Key), zap.Error(err))
		}
	}
}

// noticeBody is plain text without links, so that nobody learns to follow one.
func (h *Handler) noticeBody(first string, n challenge.Notice, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, first+"\n\n", n.Credential.Label)
	fmt.Fprintf(&b, "Account: %s\nService: %s (%s)\nWhen: %s UTC\n\n", n.Account.Username, h.web.Name, n.Site, now.Format("2 January 2006, 15:04"))
	b.WriteString("If this was you, there is nothing to do.\nIf it was not, somebody may know your password. Ask for help at once.\n")
	if h.web.Help != "" {
		b.WriteString(h.web.Help + "\n")
	}
	return b.String()
}
