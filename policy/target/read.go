package target

import "strings"

// The bounds of the contract's section 3, and one of ours.
const (
	MaxReadings  = 64
	MaxDecodings = 6
	// maxOddBytes bounds a path that is not plain, and each of its readings.
	// Most servers stop at half of it.
	maxOddBytes = 16 << 10
	// maxWideWork bounds how many bytes of a path outside ASCII are folded
	// and come of it, all readings together: folding is slow.
	maxWideWork = 256 << 10
)

var defaultScripts = []string{"*.php", "*.asp", "*.aspx", "*.jsp", "*.cgi", "*.pl"}

// Options are one site's.
type Options struct {
	// Scripts are globs for the segments that name a program, such as
	// "*.php", or directories of programs, such as "/fcgi/*". Nil means
	// *.php *.asp *.aspx *.jsp *.cgi *.pl. What is below /cgi-bin/*
	// always counts.
	Scripts []string
	// Charset is what the application writes its paths in, beside UTF-8: the
	// name of a charset in which one byte is one character, such as
	// "windows-1252". Without it escapes that are no UTF-8 are refused.
	Charset string
}

// Reader reads targets. It never changes and is safe for concurrent use; it is
// made by NewReader.
type Reader struct {
	scripts scripts
	charset charset
}

// NewReader compiles the options. Its error names the script pattern that is
// no glob for one segment, or the charset that cannot be had.
func NewReader(o Options) (*Reader, error) {
	if o.Scripts == nil {
		o.Scripts = defaultScripts
	}
	sc, err := compileScripts(o.Scripts)
	if err != nil {
		return nil, err
	}
	cs, err := compileCharset(o.Charset)
	if err != nil {
		return nil, err
	}
	return &Reader{scripts: sc, charset: cs}, nil
}

// Read gives every reading of a request target in origin form, the bytes as
// the client sent them (http.Request.RequestURI). Its error is always a
// *Malformed, and then there are no readings. A target in plain letters costs
// no allocation, one with capitals a copy.
func (r *Reader) Read(raw string) (Readings, error) {
	switch {
	case raw == "" || raw[0] != '/':
		return Readings{}, malformed(ReasonNotOriginForm)
	case strings.HasPrefix(raw, "//"):
		return Readings{}, malformed(ReasonDoubleSlash)
	}
	sc := scan(raw)
	if sc.bad {
		return Readings{}, malformed(refusal(sc.refused))
	}
	path := raw[:sc.end]
	rs := Readings{raw: raw, end: sc.end, plain: path}
	if sc.upper {
		rs.plain = strings.ToLower(path)
	}
	if !sc.odd && !(r.scripts.possible(rs.plain, sc.dotted) && r.scripts.next(rs.plain, 1) >= 0) {
		return rs, nil
	}
	if err := r.readOdd(&rs); err != nil {
		return Readings{}, err
	}
	return rs, nil
}

// readOdd fills the readings of a path that has something to read.
func (r *Reader) readOdd(rs *Readings) error {
	path := rs.RawPath()
	if len(path) > maxOddBytes {
		return malformed(ReasonTooLong)
	}
	if err := checkEscapes(path); err != nil {
		return err
	}
	c := closure{scripts: &r.scripts}
	by := asSent
	for _, path := range r.charset.readings(path) {
		if err := checkDepth(path); err != nil {
			return err
		}
		if err := c.addDecoded(decodeHonest(path), 0, by); err != nil {
			return err
		}
		by = inCharset
	}
	if err := c.close(); err != nil {
		return err
	}
	rs.plain, rs.more, rs.cut = c.readings[0].path, c.readings[1:], c.queries
	if len(rs.more) > 0 {
		rs.scripts = &r.scripts
	}
	return nil
}
