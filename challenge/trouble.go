package challenge

import (
	"errors"
	"net/http"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
)

// excuse remembers for the page of the step why it cannot do what a button
// asked for, and tells whether it is such a reason: the page stays, with the
// field for a code that was sent before and the way to other factors.
func (k *walk) excuse(err error) bool {
	f := (*web.Fail)(nil)
	if err == nil || k.fail != nil || !errors.As(k.s.trouble(err), &f) || f.Advice == "" {
		return false
	}
	k.fail = f
	return true
}

// stopped is the page of the step for somebody who has tried too often.
func (k *walk) stopped(err error) bool {
	f := (*web.Fail)(nil)
	if k.fail != nil || !errors.As(k.s.throttled(err, k.others), &f) || f.Status != http.StatusTooManyRequests {
		return false
	}
	k.fail = f
	return true
}

// trouble is a factor that cannot be used now: 503, or 429 for a code that
// may not be sent yet. Other factors are offered by the page that the person
// came from.
func (s *Site) trouble(err error) error {
	soon, spent := (*factors.TooSoon)(nil), (*throttle.Spent)(nil)
	switch {
	case errors.As(err, &soon) && errors.Is(err, factors.ErrDenied):
		return &web.Fail{Status: http.StatusTooManyRequests, RetryAfter: soon.After, Title: "sending.title", Advice: "approval.soon", Err: err}
	case errors.As(err, &soon):
		return &web.Fail{Status: http.StatusTooManyRequests, RetryAfter: soon.After, Title: "sending.title", Advice: "sending.soon", Err: err}
	case errors.As(err, &spent):
		return &web.Fail{Status: http.StatusTooManyRequests, RetryAfter: spent.RetryAfter, Title: "sending.title", Advice: "sending.spent", Err: err}
	case errors.Is(err, factors.ErrCrowded):
		return &web.Fail{Status: http.StatusTooManyRequests, RetryAfter: time.Minute, Title: "sending.title", Advice: "approval.crowded", Err: err}
	case errors.Is(err, factors.ErrUnavailable):
		return &web.Fail{Status: http.StatusServiceUnavailable, Title: "unavailable.title", Advice: "unavailable.advice", Err: err}
	}
	return s.unavailable(err)
}

// throttled is a spent budget in the middle of a challenge.
func (s *Site) throttled(err error, others bool) error {
	fail := s.tooMany(err)
	if f := (*web.Fail)(nil); others && errors.As(fail, &f) && f.Advice == "throttled.wait" {
		f.Advice = "throttled.others"
	}
	return fail
}
