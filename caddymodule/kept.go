package caddymodule

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

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
