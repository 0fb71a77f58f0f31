package caddymodule

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/internal/inject"
)

// The words of `inject_step_up`.
const (
	injectOn    = "on"
	injectEarly = "early"
)

var injectWords = []string{injectOn, injectEarly}

// parseInject reads `inject_step_up [early]`.
func (h *SiteConfig) parseInject(d *caddyfile.Dispenser) error {
	h.InjectStepUp = injectOn
	if d.NextArg() {
		if d.Val() != injectEarly {
			return d.Errf("inject_step_up: unexpected `%s`; expected nothing, or early%s", d.Val(), block.DidYouMean(d.Val(), []string{injectEarly}))
		}
		h.InjectStepUp = injectEarly
	}
	return block.NoBlock(d)
}

func (h *Handler) provisionScript() error {
	if h.InjectStepUp == "" {
		return nil
	}
	if !slices.Contains(injectWords, h.InjectStepUp) {
		return fmt.Errorf("inject_step_up: unexpected `%s`; expected on or early%s", h.InjectStepUp, block.DidYouMean(h.InjectStepUp, injectWords))
	}
	var err error
	h.gate.Script, err = inject.New(h.gate.Web, h.gate.Web.Languages, h.InjectStepUp == injectEarly)
	return err
}
