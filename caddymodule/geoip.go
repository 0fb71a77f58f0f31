package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/policy/risk"
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

const (
	// geoIPEvery is how often the file is looked at.
	geoIPEvery = 10 * time.Second
	// geoIPGrace is how long the database before is kept open: somebody may
	// be looking something up.
	geoIPGrace = time.Minute
)

// followGeoIP takes the database anew when its file has changed, until the app
// stops. One that cannot be read leaves the one before in force.
func (a *App) followGeoIP(every time.Duration) (stop func()) {
	if a.GeoIP == "" {
		return func() {}
	}
	done := make(chan struct{})
	before := fileMark(a.GeoIP)
	var following sync.WaitGroup
	following.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if now := fileMark(a.GeoIP); now != before && now != "" {
				before = now
				a.renewGeoIP()
			}
		}
	})
	return func() {
		close(done)
		following.Wait()
	}
}

func (a *App) renewGeoIP() {
	old := a.countries.Load()
	if err := a.openGeoIP(); err != nil {
		a.log().Error("the database of places has changed and cannot be read; the one before stays in force", zap.Error(err))
		return
	}
	a.log().Info("took the database of places anew", zap.String("geoip", a.GeoIP))
	if old != nil {
		time.AfterFunc(geoIPGrace, func() { old.Close() })
	}
}

// fileMark tells one content of a file from another; "" where it is not there.
func fileMark(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano())
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

// placeRecord is what databases of cities, of autonomous systems and of
// anonymising networks say of an address, each its own part.
type placeRecord struct {
	Country struct {
		Code string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
		Radius    uint16   `maxminddb:"accuracy_radius"`
	} `maxminddb:"location"`
	System uint `maxminddb:"autonomous_system_number"`
	hidden
	Traits struct {
		System    uint `maxminddb:"autonomous_system_number"`
		Anonymous bool `maxminddb:"is_anonymous"`
		Proxy     bool `maxminddb:"is_anonymous_proxy"`
		VPN       bool `maxminddb:"is_anonymous_vpn"`
		Open      bool `maxminddb:"is_public_proxy"`
		Tor       bool `maxminddb:"is_tor_exit_node"`
	} `maxminddb:"traits"`
}

// hidden is the same of a database that has nothing else.
type hidden struct {
	Anonymous bool `maxminddb:"is_anonymous"`
	VPN       bool `maxminddb:"is_anonymous_vpn"`
	Open      bool `maxminddb:"is_public_proxy"`
	Tor       bool `maxminddb:"is_tor_exit_node"`
}

// place is where an address is, as far as the database says so.
func (a *App) place(address netip.Addr) risk.Place {
	places := a.countries.Load()
	if places == nil || !address.IsValid() {
		return risk.Place{}
	}
	var found placeRecord
	if err := places.Lookup(address).Decode(&found); err != nil {
		return risk.Place{}
	}
	p := risk.Place{Country: found.Country.Code, System: max(found.System, found.Traits.System)}
	if at := found.Location; at.Latitude != nil && at.Longitude != nil {
		p.Located, p.Latitude, p.Longitude, p.Radius = true, *at.Latitude, *at.Longitude, float64(at.Radius)
	}
	t := found.Traits
	p.Anonymous = t.Anonymous || t.Proxy || t.VPN || t.Open || t.Tor || found.Anonymous || found.VPN || found.Open || found.Tor
	return p
}
