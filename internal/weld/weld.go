package weld

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/session"
)

// Kept is how long a bond outlives its session.
const Kept = 30 * 24 * time.Hour

const (
	hashPurpose = "weld cookie"
	kinPurpose  = "weld kin of cookie"
)

// Ring makes keyed hashes and seals (keys.Ring).
type Ring interface {
	MAC(purpose string, parts ...[]byte) []byte
	// MACs is MAC under every key, the newest first: bonds outlive a
	// rotation.
	MACs(purpose string, parts ...[]byte) [][]byte
	Seal(purpose string, plaintext, associated []byte) ([]byte, error)
	Open(purpose string, sealed, associated []byte) ([]byte, error)
}

// Weld is one site's. Its fields are set before first use and then only read;
// it is safe for concurrent use.
type Weld struct {
	Store Store
	Ring  Ring
	// Site is the origin; the same value at two sites is two values.
	Site  string
	Names Names
	// Sealed lets the browser hold the cookies only encrypted for its session.
	Sealed bool
	// Turns knows which values are spoilt; nil for none.
	Turns *Turns
	Now   func() time.Time

	strangers strangers
}

// canonical is what spellings of a value have in common that some server
// takes for one: quotes gone, percent escapes undone.
func canonical(value string) string {
	for range 3 {
		before := value
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		if decoded, err := url.PathUnescape(value); err == nil {
			value = decoded
		}
		if value == before {
			break
		}
	}
	return value
}

func (w *Weld) parts(c Cookie) [][]byte {
	name, is := w.Names.name(c.Name)
	if !is {
		name = fold(c.Name)
	}
	return [][]byte{[]byte(w.Site), []byte(name), []byte(canonical(c.Value))}
}

// kin is what values have in common that some server takes for one, or that
// name one session of the app's: letter case, blanks around it, and the last
// "." with what follows, where Java servers name the node.
func kin(value string) string {
	value = strings.ToLower(strings.ReplaceAll(canonical(value), "+", " "))
	value = strings.TrimFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f })
	if i := strings.LastIndexByte(value, '.'); i > 0 {
		value = strings.TrimRight(value[:i], " ")
	}
	return value
}

// hash is what is kept of a cookie.
func (w *Weld) hash(c Cookie) Hash { return Hash(w.Ring.MAC(hashPurpose, w.parts(c)...)) }

// kinHash is kept besides, to find others that may be the same.
func (w *Weld) kinHash(c Cookie) Hash {
	c.Value = kin(c.Value)
	return Hash(w.Ring.MAC(kinPurpose, w.parts(c)...))
}

// hashes are all under which it may have been kept.
func (w *Weld) hashes(c Cookie) []Hash { return w.allHashes(hashPurpose, c) }

// kinHashes are all under which it, or one that may be the same, may have
// been kept.
func (w *Weld) kinHashes(c Cookie) []Hash {
	k := Cookie{c.Name, kin(c.Value)}
	// Values that were kept before there were kin are found by their own hash.
	return slices.Concat(w.hashes(c), w.hashes(k), w.allHashes(kinPurpose, k))
}

func (w *Weld) allHashes(purpose string, c Cookie) (all []Hash) {
	for _, sum := range w.Ring.MACs(purpose, w.parts(c)...) {
		all = append(all, Hash(sum))
	}
	return all
}

// Bind ties values that an accepted login issued, or that were confirmed, to
// a session that ends at the latest at endsAt. It names the sessions that had
// one of them before: an app that gives a value again has given it to another
// login, and these must end. So a value opens one session at most.
func (w *Weld) Bind(ctx context.Context, id session.ID, endsAt time.Time, values []Cookie) (others []session.ID, err error) {
	if err := w.keep(ctx, id, endsAt, values, false); err != nil || len(values) == 0 {
		return nil, err
	}
	// After the bond is kept: of two that bind the same value at once, one
	// sees the other's at least.
	return w.Holders(ctx, id, values)
}

// Holders are the sessions but one that have one of the values, or one that
// some server takes for it: if the app gives it to anybody else, it opens
// somebody else's session there.
func (w *Weld) Holders(ctx context.Context, but session.ID, values []Cookie) ([]session.ID, error) {
	var all []Hash
	for _, c := range values {
		all = append(all, w.kinHashes(c)...)
	}
	if all == nil {
		return nil, nil
	}
	found, err := w.Store.SessionsBound(ctx, all, but, w.Now())
	if err != nil {
		return nil, fmt.Errorf("look for sessions with the same cookie: %w", err)
	}
	return found, nil
}

// Offer remembers values that the app set in the session.
func (w *Weld) Offer(ctx context.Context, id session.ID, endsAt time.Time, values []Cookie) error {
	return w.keep(ctx, id, endsAt, values, true)
}

func (w *Weld) keep(ctx context.Context, id session.ID, endsAt time.Time, values []Cookie, offered bool) error {
	if len(values) == 0 {
		return nil
	}
	now := w.Now().UTC()
	var bonds []Bond
	for _, c := range values {
		for _, h := range [...]Hash{w.hash(c), w.kinHash(c)} {
			bonds = append(bonds, Bond{Hash: h, Session: id, Offered: offered, At: now, ExpiresAt: endsAt.Add(Kept)})
		}
	}
	if err := w.Store.KeepBonds(ctx, bonds); err != nil {
		return fmt.Errorf("bind cookies: %w", err)
	}
	w.strangers.forgetAll()
	return nil
}

// Bonds reads what belongs to a session.
func (w *Weld) Bonds(ctx context.Context, id session.ID) (*Bonds, error) {
	all, err := w.Store.BondsOf(ctx, id, w.Now())
	if err != nil {
		return nil, fmt.Errorf("read bound cookies: %w", err)
	}
	b := &Bonds{bound: make(map[Hash]bool, len(all))}
	for _, bond := range all {
		b.bound[bond.Hash] = !bond.Offered
	}
	return b, nil
}

// Bonds are one session's as they were when read. Nil has none. It never
// changes.
type Bonds struct {
	bound map[Hash]bool // false: offered
}

// Has tells whether a hash is of a value that is bound to the session.
func (b *Bonds) Has(h Hash) bool { return b != nil && b.bound[h] }

type standing int

const (
	unknown standing = iota
	offered
	mine
)

func (w *Weld) standing(b *Bonds, c Cookie) standing {
	if b == nil {
		return unknown
	}
	best := unknown
	for _, h := range w.hashes(c) {
		if bound, ok := b.bound[h]; ok && bound {
			return mine
		} else if ok {
			best = offered
		}
	}
	return best
}

// Mine tells whether a value belongs to the session.
func (w *Weld) Mine(b *Bonds, c Cookie) bool { return w.standing(b, c) == mine }

// Passed is what of a request's cookies may reach the app.
type Passed struct {
	// Line is the Cookie line, "" for none.
	Line string
	// Own says that every session cookie of the request passed as the
	// session's own, so that the same line has the same answer while the
	// bonds last.
	Own bool
	// Mine says that one passed as the session's own, Strange that one passed
	// as nobody's: what the app then sets may be for whoever that is.
	Mine, Strange bool
	// Offered are those that may be the session's own if somebody confirms.
	Offered []Cookie
	// Foreign says that one is bound to another session.
	Foreign bool
}

// Pass judges the cookies of a request of the session id, "" for nobody.
func (w *Weld) Pass(ctx context.Context, line string, id session.ID, b *Bonds, public bool) Passed {
	session, others := w.Names.split(line)
	p := Passed{Own: true}
	var pass []Cookie
	taken := map[string]bool{}
	for _, c := range session {
		if taken[fold(c.Name)] {
			continue // which one the app would take differs between parsers
		}
		c, kept := w.unwrap(c, id)
		at := w.standing(b, c)
		if at == mine && kept == w.Sealed {
			p.Mine = true
			taken[fold(c.Name)] = true
			pass = append(pass, c)
			continue
		}
		p.Own = false
		foreign := at != mine && w.elsewhere(ctx, c, id, at)
		p.Foreign = p.Foreign || foreign
		switch {
		case foreign || at == mine || w.spoilt(c):
		case public && kept:
			// Sealed for this session and not bound: kept from the app.
		case public && plainValue(c.Value):
			taken[fold(c.Name)] = true
			p.Strange = true
			pass = append(pass, c)
		case at == offered && !public && kept == w.Sealed:
			p.Offered = append(p.Offered, c)
		}
	}
	p.Line = join(others, pass)
	return p
}

// Carried names the values of session cookies that a login carries in its
// Cookie line, and others that were found elsewhere in it, by what those have
// in common that some server takes for one. Whether they are bound is asked of
// the store anew: another node may have bound them a moment ago.
func (w *Weld) Carried(line string, id session.ID, others []Cookie) (values []Hash) {
	session, _ := w.Names.split(line)
	for _, c := range slices.Concat(session, others) {
		c, _ = w.unwrap(c, id)
		values = append(values, w.kinHash(c))
		w.strangers.forget(w.hash(c))
	}
	return values
}

// Allowed tells whether session ids in a URL may reach the app.
func (w *Weld) Allowed(ctx context.Context, found []Cookie, id session.ID, b *Bonds, public bool) bool {
	for _, c := range found {
		at := w.standing(b, c)
		if at == mine && !w.Sealed {
			continue
		}
		if !public || at == mine || w.spoilt(c) || w.elsewhere(ctx, c, id, at) {
			return false
		}
	}
	return true
}

func (w *Weld) spoilt(c Cookie) bool {
	return w.Turns != nil && w.Turns.isSpoilt(w.kinHash(c), w.Now())
}

// elsewhere tells whether a value that is not the session's own belongs to
// another, or was offered to it. A store that cannot be asked says yes.
func (w *Weld) elsewhere(ctx context.Context, c Cookie, id session.ID, at standing) bool {
	all := w.kinHashes(c)
	now := w.Now()
	known, since := w.strangers.knows(all[0], now)
	if at == unknown && known {
		return false
	}
	if at == unknown {
		switch found, err := w.Store.BondElsewhere(ctx, all, "", now); {
		case err != nil || found && id == "":
			return true
		case !found:
			w.strangers.add(all[0], now, since)
			return false
		}
		// It may have become the session's own since its bonds were read: a
		// stranger it is to nobody then.
	}
	found, err := w.Store.BondElsewhere(ctx, all, id, now)
	return err != nil || found
}

// plainValue tells whether all parsers agree on a value (RFC 6265 §4.1.1,
// and what apps send besides).
func plainValue(value string) bool {
	return !strings.ContainsAny(value, "\" \t,\\")
}

// Strip leaves no session cookie in a request's header: for when nothing can
// be known.
func (n Names) Strip(h http.Header) { SetLine(h, n.Others(JoinLines(h))) }

// SetLine makes line the request's only Cookie line.
func SetLine(h http.Header, line string) {
	lines := h["Cookie"]
	switch {
	case line == "":
		delete(h, "Cookie")
	case len(lines) == 1:
		lines[0] = line // a request's values are its own
	default:
		h["Cookie"] = []string{line}
	}
}
