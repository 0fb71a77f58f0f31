package caddymodule

import (
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/gate"
	"github.com/stepgate/stepgate/policy/author"
)

// warnAboutQuestions tells at each start of levels that ask security questions:
// a known departure from what standards want (ASVS 5.0 6.4.2).
func (h *Handler) warnAboutQuestions() {
	for _, level := range h.gate.Policy.Levels() {
		if author.AsksQuestions(level) {
			h.logger.Warn("a level asks security questions, which OWASP ASVS 5.0 6.4.2 and NIST SP 800-63B-4 §3.1.1.2 do not want", zap.String("level", level.Name()))
		}
	}
}

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
