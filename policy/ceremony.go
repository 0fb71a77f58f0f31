package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// OnceLevels returns the levels with `once`.
func (p *Policy) OnceLevels() LevelSet { return p.once }

// MetOnce is Met for a request that needs these levels, by its identity
// (Request.Once): with the levels with `once` that proofs made for it meet. A
// proof opens one of them only, so that those which the request does not need
// take none. An empty once is that of no request.
func (p *Policy) MetOnce(needs LevelSet, proofs []Proof, signedIn bool, now time.Time, once string) LevelSet {
	met := p.Met(proofs, signedIn, now)
	if !signedIn || once == "" || p.once == 0 {
		return met
	}
	return met | p.onceMet(p.once&needs, proofs, once, now)
}

// Fingerprint names what the bits of this policy's LevelSets mean. A set that
// was kept elsewhere, by another process or before a reload, still means the
// same where the fingerprint is the same.
func (p *Policy) Fingerprint() string { return p.fingerprint }

// fingerprint is taken once the levels are final.
func fingerprint(levels []*Level) string {
	h := sha256.New()
	for _, l := range levels {
		fmt.Fprintf(h, "%q %q %v %v\n", l.name, l.Alternatives(), l.maxAge, l.once)
		for _, a := range l.alternatives {
			fmt.Fprintln(h, a.welded)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
