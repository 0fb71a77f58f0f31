package target

// What a raw byte of the path means to the scan, as bits.
const (
	classSlash   uint8 = 1 << iota
	classTrim          // trimmable where a segment ends
	classUpper         // needs folding
	classSpecial       // starts an escape, parameters or a stream
	classRefused       // never raw in an honest path
	classHonest        // it reaches an upstream as an escape only
	classOpen          // may begin a segment that carries a session
)

var classes = func() (t [256]uint8) {
	for c := range t {
		if c <= ' ' || c >= 0x7F || c == '#' || c == '\\' {
			t[c] = classRefused
		}
		if c >= 'A' && c <= 'Z' {
			t[c] = classUpper
		}
	}
	t['/'] = classSlash
	t['.'], t['+'] = classTrim, classTrim
	t['('] = classOpen
	t['%'], t[';'], t[':'] = classSpecial, classSpecial, classSpecial
	for _, c := range []byte(" \"<>^`{|}") {
		t[c] |= classHonest
	}
	return t
}()

// scanned is what one pass over the raw path found.
type scanned struct {
	end     int  // where the path ends
	upper   bool // has ASCII capitals
	odd     bool // may have more than one reading, scripts aside
	dotted  bool // a segment before a slash has a dot
	refused byte // the first byte that is refused raw; meaningful where bad
	bad     bool
}

// scan looks at every byte of the path of raw once, and stops at "?".
func scan(raw string) (sc scanned) {
	var last, seen uint8
	dot := false
	i := 0
	for ; i < len(raw); i++ {
		c := raw[i]
		if c == '?' {
			break
		}
		class := classes[c]
		seen |= class
		switch {
		case class == 0:
		case class == classSlash:
			sc.odd = sc.odd || last&(classTrim|classSlash) != 0
			sc.dotted = sc.dotted || dot
			dot = false
		case c == '.':
			dot = true
		case class == classOpen:
			sc.odd = sc.odd || last == classSlash
		case class&classRefused != 0 && !sc.bad:
			sc.bad, sc.refused = true, c
		}
		last = class
	}
	sc.end = i
	sc.upper = seen&classUpper != 0
	sc.odd = sc.odd || last&classTrim != 0 || seen&classSpecial != 0
	return sc
}

// refusal names the reason for which a raw byte is refused.
func refusal(c byte) string {
	switch {
	case c == ' ':
		return ReasonBlank
	case c == '#':
		return ReasonFragment
	case c == '\\':
		return ReasonBackslash
	case c >= 0x80:
		return ReasonNonASCII
	default:
		return ReasonControlByte
	}
}
