package risk

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"
)

// Place is where an address is, as far as a database of places says so.
type Place struct {
	// Country is its ISO 3166 code, empty where it is not known.
	Country string `json:"country,omitempty"`
	// Located says that Latitude and Longitude, in degrees, are known. Radius
	// is how far off they may be, in kilometres.
	Located   bool    `json:"located,omitempty"`
	Latitude  float64 `json:"latitude,omitempty"`
	Longitude float64 `json:"longitude,omitempty"`
	Radius    float64 `json:"radius,omitempty"`
	// System is the number of the autonomous system, 0 where it is not known.
	System uint `json:"system,omitempty"`
	// Anonymous says that the database knows the address as one behind which
	// people hide.
	Anonymous bool `json:"-"`
}

// Visit is one place that an account was at, as it is remembered.
type Visit struct {
	// At is when it was last there.
	At time.Time `json:"at"`
	// Network is Network's word for the address.
	Network string `json:"network"`
	Place
}

// Network names the network that an address belongs to: the autonomous system
// where it is known, else what a provider commonly gives one customer or one
// place, the /24 or the /48. An address of IPv6 whose lower half changes every
// day stays in it.
func Network(a netip.Addr, p Place) string {
	bits := 48
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	if p.System != 0 {
		return fmt.Sprintf("AS%d", p.System)
	}
	prefix, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// maxVisits bounds what is remembered of an account, Kept for how long.
const (
	maxVisits = 30
	Kept      = 180 * 24 * time.Hour
)

// Remember adds a visit to those that are remembered. One network in one
// country is one of them.
func Remember(visits []Visit, v Visit) []Visit {
	visits = slices.DeleteFunc(slices.Clone(visits), func(old Visit) bool {
		return old.Network == v.Network && old.Country == v.Country || v.At.Sub(old.At) > Kept
	})
	visits = append(visits, v)
	slices.SortFunc(visits, func(a, b Visit) int { return b.At.Compare(a.At) })
	return visits[:min(len(visits), maxVisits)]
}

// last is the newest visit.
func (f *Facts) last() (Visit, bool) {
	if len(f.Visits) == 0 {
		return Visit{}, false
	}
	return slices.MaxFunc(f.Visits, func(a, b Visit) int { return a.At.Compare(b.At) }), true
}

const earthRadius = 6371 // kilometres

// apart is the least distance of two places in kilometres, as far off as their
// coordinates may be.
func apart(a, b Place) float64 {
	const degree = math.Pi / 180
	dLat, dLon := (b.Latitude-a.Latitude)*degree, (b.Longitude-a.Longitude)*degree
	h := math.Pow(math.Sin(dLat/2), 2) + math.Cos(a.Latitude*degree)*math.Cos(b.Latitude*degree)*math.Pow(math.Sin(dLon/2), 2)
	return 2*earthRadius*math.Asin(math.Min(1, math.Sqrt(h))) - a.Radius - b.Radius
}
