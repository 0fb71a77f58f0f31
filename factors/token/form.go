package token

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

// readMethods are those with which a program only reads.
var readMethods = []string{"GET", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"}

// formDays are how long a token may be asked for by a form, the second where
// it does not say.
var formDays = []int{30, 90, 365}

// Asked reads the bounds that a form asks for in its fields `paths`, `methods`
// ("all", or else those that only read), `addresses` and `days`. wrong is the
// field that cannot be right, "" for none.
func Asked(field func(name string) string, now time.Time) (bounds account.TokenBounds, wrong string) {
	days, err := strconv.Atoi(field("days"))
	if err != nil || !slices.Contains(formDays, days) {
		days = formDays[1]
	}
	bounds = account.TokenBounds{Paths: strings.Fields(field("paths")), EndsAt: now.UTC().Add(time.Duration(days) * 24 * time.Hour)}
	if field("methods") != "all" {
		bounds.Methods = readMethods
	}
	for _, text := range strings.FieldsFunc(field("addresses"), func(r rune) bool { return r == ' ' || r == ',' }) {
		prefix, err := readPrefix(text)
		if err != nil {
			return bounds, "addresses"
		}
		bounds.Addresses = append(bounds.Addresses, prefix)
	}
	if _, err := Compile(bounds); err != nil {
		return bounds, "paths"
	}
	return bounds, ""
}

// readPrefix reads an address, or a network of them.
func readPrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err
}

// AddressesText is the addresses of bounds as a form writes them.
func AddressesText(bounds account.TokenBounds) string {
	all := make([]string, 0, len(bounds.Addresses))
	for _, p := range bounds.Addresses {
		all = append(all, p.String())
	}
	return strings.Join(all, " ")
}
