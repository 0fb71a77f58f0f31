package caddymodule

import (
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/gate"
)

// warnAboutEnded tells at each start of rules whose day is over: they weaken
// nothing any more, and people may be asked for what they were not.
func (h *Handler) warnAboutEnded(now time.Time) {
	for _, rule := range h.gate.Policy.Rules() {
		if until := rule.Until(); !until.IsZero() && !now.Before(until) {
			h.logger.Warn("a rule has ended, and it is as if it were absent where its absence asks for more",
				zap.String("rule", gate.RuleName(rule)), zap.Time("until", until))
		}
	}
}
