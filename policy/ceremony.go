package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// OnceLevels are the levels with `once`.
func (p *Policy) OnceLevels() LevelSet { return p.once }

// MetOnce is Met for the one request called once, whose levels with `once`
// are looked at too. With an empty name it is Met.
func (p *Policy) MetOnce(proofs []Proof, signedIn bool, now time.Time, once string) LevelSet {
	met := p.Met(proofs, signedIn, now)
	if signedIn && once != "" && p.once != 0 {
		met |= p.onceMet(p.once, proofs, once, now)
	}
	return met
}

// Fingerprint tells whether a LevelSet of one policy means the same in
// another: it differs whenever levels or their places do.
func (p *Policy) Fingerprint() string { return p.fingerprint }

// takeFingerprint is called once the levels are final.
func (p *Policy) takeFingerprint() {
	type level struct {
		Name         string
		Alternatives [][]Factor
		MaxAge       time.Duration
		Once         bool
	}
	var all []level
	for _, l := range p.levels {
		all = append(all, level{l.name, l.Alternatives(), l.maxAge, l.once})
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	sum := sha256.Sum256(text)
	p.fingerprint = hex.EncodeToString(sum[:8])
}
