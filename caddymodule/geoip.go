package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// openGeoIP opens the database that says where addresses are. A configuration
// that names one which is not there, or is none, is refused: its conditions
// would all raise. That is at the start: a configuration can be validated on a
// machine that has no such file.
func (a *App) openGeoIP() error {
	if a.GeoIP == "" {
		return nil
	}
	db, err := maxminddb.Open(a.GeoIP)
	if err != nil {
		return fmt.Errorf("geoip %s: expected a MaxMind database of cities or countries: %w", a.GeoIP, err)
	}
	a.countries.Store(db)
	return nil
}

// whereIs names the place of an address for its own person: a city with its
// country as far as the database knows them, or "".
func (a *App) whereIs(address netip.Addr) string {
	countries := a.countries.Load()
	if countries == nil || !address.IsValid() {
		return ""
	}
	var names []string
	found := countries.Lookup(address)
	for _, what := range []string{"city", "country"} {
		var name string
		if err := found.DecodePath(&name, what, "names", "en"); err == nil && name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// countryOf is where a request's client is, by ISO 3166 code, or "" where that
// is not known.
func (a *App) countryOf(r *http.Request) string {
	countries := a.countries.Load()
	if countries == nil {
		return ""
	}
	address := clientAddress(r)
	if !address.IsValid() {
		return ""
	}
	var code string
	if err := countries.Lookup(address).DecodePath(&code, "country", "iso_code"); err != nil {
		return ""
	}
	return code
}
