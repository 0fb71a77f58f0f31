package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/stepgate/stepgate/caddymodule/block"
)

const (
	defaultKeepRequests = 10 << 20
	// maxKeepRequests is as much as the store lets through in a reasonable
	// time; it keeps up to a hundred such requests.
	maxKeepRequests = 1 << 30
)

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
		size, err := humanize.ParseBytes(text)
		if err != nil || size < 1 || size > maxKeepRequests {
			return d.Errf("keep_requests: `%s`: expected a size up to 1GiB, such as 10MiB, or off", text)
		}
		*into = int64(size)
		return nil
	}
}
