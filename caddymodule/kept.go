package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/internal/audit"
)

const (
	defaultKeepRequests = 10 << 20
	// maxKeepRequests is as much as the store lets through in a reasonable
	// time; it keeps up to a hundred such requests.
	maxKeepRequests = 1 << 30
)

// errKeptLogin refuses to send on what would be a login by now.
var errKeptLogin = errors.New("a kept request has become one of the app's login")

// keepBytes is the longest body that is kept, 0 for none.
func (c *SiteConfig) keepBytes() int64 {
	switch c.KeepRequests {
	case 0:
		return defaultKeepRequests
	case -1:
		return 0
	default:
		return c.KeepRequests
	}
}

// restore makes the form of a Continue button the request that was kept, so
// that everything after it judges and sends that one. It does nothing to other
// requests, and answers where there is nothing to go on with.
func (h *Handler) restore(w http.ResponseWriter, r *http.Request, p *passage, v visitor) (answered bool, err error) {
	live := h.live.Load()
	if r.Method != http.MethodPost || live == nil {
		return false, nil
	}
	found, answered, err := live.ceremonies.Continue(w, r, v.entry, p.target())
	switch {
	case err != nil:
		return true, h.fail(w, r, err)
	case found != nil:
		live.ceremonies.Kept.Restore(r, *found)
		p.kept = found
	}
	return answered, nil
}

// redeem uses a kept request up before any of it is sent. It is true for
// requests that were not kept; false means that this one is sent already, or
// that it cannot be known, and is for the challenge to say.
func (h *Handler) redeem(r *http.Request, p *passage, v visitor) bool {
	if p.kept == nil {
		return true
	}
	live := h.live.Load()
	e := h.event(r, audit.RequestContinued, v)
	e.Outcome = "success"
	if p.keptErr = live.ceremonies.Kept.Redeem(r.Context(), *p.kept, e); p.keptErr != nil {
		return false
	}
	id := p.kept.ID
	// The context of a request ends with its answer. What is missed here goes
	// when the request expires.
	context.AfterFunc(r.Context(), func() {
		if err := live.ceremonies.Kept.Forget(context.Background(), id); err != nil {
			h.logger.Debug("delete the body of a request that was sent on", zapError(err))
		}
	})
	return true
}

// keepRequests is the option of that name: a size, or off.
func keepRequests(into *int64) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		var text string
		if err := block.OneWord(&text)(d); err != nil {
			return err
		}
		if text == "off" {
			*into = -1
			return nil
		}
		size, ok := parseSize(text)
		if !ok || size < 1 || size > maxKeepRequests {
			return d.Errf("keep_requests: `%s`: expected a size up to 1GiB, such as 10MiB, or off", text)
		}
		*into = size
		return nil
	}
}

// sizeUnits are bytes and their multiples: of 1024 with an i, of 1000 without.
var sizeUnits = map[string]int64{
	"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}

// parseSize reads a whole number of bytes or of a unit, in any letter case.
func parseSize(text string) (int64, bool) {
	digits := strings.TrimRight(strings.ToLower(text), "bgikm")
	unit, known := sizeUnits[strings.ToLower(text)[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !known || n < 0 || n > maxKeepRequests {
		return 0, false
	}
	return n * unit, true
}
