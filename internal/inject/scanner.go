package inject

import "bytes"

// scanner reads the beginning of a document, one code unit after the other,
// and finds where the head begins. It follows the tokenization of HTML (§13.2.5
// of the HTML standard) as far as what can stand before a head, and is stricter
// in XML. Whatever it does not know ends the search.
type scanner struct {
	xml   bool
	state state
	// document is set once a doctype or an html element was seen: what has
	// neither is a fragment, unless it has a head itself.
	document bool
	name     [maxName]byte
	n        int
	quote    uint16
	slash    bool // the last unit of a tag was its "/"
	head     bool // the tag that is being read is the head's
}

// maxName is longer than the longest name that means something here.
const maxName = 11

// verdict is what one more unit has told.
type verdict int

const (
	more   verdict = iota
	after          // the script goes behind this unit
	before         // the script goes before the tag that this unit is in
	never          // there is no place for it
)

type state int

const (
	inText state = iota
	tagOpen
	tagName
	markup // behind "<!"
	markupDash
	doctypeWord
	doctype
	commentStart
	commentStartDash
	comment
	commentDash
	commentEnd
	commentEndBang
	bogusComment
	instruction // of XML, up to "?>"
	instructionEnd
	beforeAttribute
	attributeName
	afterAttributeName
	beforeValue
	quotedValue
	unquotedValue
	afterValue
)

// undecided tells whether the tag at hand may still be one that the script
// goes before, so that none of it may go out yet.
func (s *scanner) undecided() bool { return s.state == tagOpen || s.state == tagName }

// escape begins what is no ASCII in ISO-2022 charsets.
const escape = 0x1b

func (s *scanner) step(u uint16) verdict {
	if u == escape {
		return never
	}
	switch {
	case s.state >= beforeAttribute:
		return s.attribute(u)
	case s.state >= commentStart && s.state <= commentEndBang:
		return s.comment(u)
	}
	switch s.state {
	case inText:
		switch {
		case space(u):
		case u == '<':
			s.state = tagOpen
		default:
			return never
		}
	case tagOpen:
		return s.open(u)
	case tagName:
		return s.tagName(u)
	case markup:
		s.markup(u)
	case markupDash:
		if u == '-' {
			s.state = commentStart
			break
		}
		return s.bogus(u)
	case doctypeWord:
		return s.word(u)
	case doctype:
		return s.doctype(u)
	case bogusComment:
		return s.bogus(u)
	case instruction, instructionEnd:
		switch {
		case u == '?':
			s.state = instructionEnd
		case u == '>' && s.state == instructionEnd:
			s.state = inText
		default:
			s.state = instruction
		}
	}
	return more
}

func (s *scanner) open(u uint16) verdict {
	switch {
	case u == '!':
		s.state = markup
	case u == '?' && s.xml:
		s.state = instruction
	case u == '?':
		s.state = bogusComment
	case letter(u):
		s.state, s.n = tagName, 0
		return s.tagName(u)
	default:
		return never
	}
	return more
}

// headContent are the elements that can only stand in a head: before the
// first of them its tag may be left out (HTML §13.1.2.4).
var headContent = [][]byte{
	[]byte("base"), []byte("basefont"), []byte("bgsound"), []byte("link"), []byte("meta"), []byte("noscript"), []byte("script"),
	[]byte("style"), []byte("template"), []byte("title"),
}

func (s *scanner) tagName(u uint16) verdict {
	if !space(u) && u != '/' && u != '>' {
		if s.n == maxName || u > 0x7f {
			return never
		}
		if c := byte(u); c >= 'A' && c <= 'Z' && !s.xml {
			s.name[s.n] = c | 0x20
		} else {
			s.name[s.n] = c
		}
		s.n++
		return more
	}
	switch name := s.name[:s.n]; {
	case string(name) == "html":
		s.document, s.head = true, false
	case string(name) == "head":
		s.head = true
	case s.document && !s.xml && isHeadContent(name):
		return before
	default:
		return never
	}
	s.state, s.slash = beforeAttribute, false
	return s.attribute(u)
}

func isHeadContent(name []byte) bool {
	for _, known := range headContent {
		if bytes.Equal(known, name) {
			return true
		}
	}
	return false
}

func (s *scanner) markup(u uint16) {
	switch {
	case u == '-':
		s.state = markupDash
	case u|0x20 == 'd':
		s.state, s.n = doctypeWord, 1
	default:
		s.bogus(u)
	}
}

func (s *scanner) word(u uint16) verdict {
	const word = "doctype"
	if u > 0x7f || byte(u)|0x20 != word[s.n] || !letter(u) {
		return s.bogus(u)
	}
	if s.n++; s.n == len(word) {
		s.state, s.quote = doctype, 0
	}
	return more
}

func (s *scanner) doctype(u uint16) verdict {
	switch {
	case s.xml && s.quote != 0:
		if u == s.quote {
			s.quote = 0
		}
	case s.xml && (u == '"' || u == '\''):
		s.quote = u
	case s.xml && u == '[':
		return never // a subset of its own
	case u == '>':
		s.state, s.document = inText, true
	}
	return more
}

// bogus is what HTML takes for a comment, and XML does not have.
func (s *scanner) bogus(u uint16) verdict {
	if s.xml {
		return never
	}
	s.state = bogusComment
	if u == '>' {
		s.state = inText
	}
	return more
}

func (s *scanner) comment(u uint16) verdict {
	switch {
	case u == '>' && !s.xml && s.state != comment && s.state != commentDash,
		u == '>' && s.state == commentEnd:
		s.state = inText
	case u == '-':
		switch s.state {
		case commentStart:
			s.state = commentStartDash
		case comment, commentEndBang:
			s.state = commentDash
		default:
			s.state = commentEnd
		}
	case u == '!' && s.state == commentEnd && !s.xml:
		s.state = commentEndBang
	default:
		s.state = comment
	}
	return more
}

// attribute is everything in a tag behind its name.
func (s *scanner) attribute(u uint16) verdict {
	switch s.state {
	case beforeValue:
		switch {
		case space(u):
			return more
		case u == '"' || u == '\'':
			s.state, s.quote = quotedValue, u
			return more
		case u != '>':
			s.state = unquotedValue
			return more
		}
	case quotedValue:
		if u == s.quote {
			s.state = afterValue
		}
		return more
	case unquotedValue:
		if !space(u) && u != '>' {
			return more
		}
	}
	slash := s.slash
	s.slash = u == '/'
	switch {
	case u == '>':
		return s.endTag(slash)
	case u == '/':
		s.state = beforeAttribute
	case space(u):
		if s.state == attributeName || s.state == afterAttributeName {
			s.state = afterAttributeName
		} else {
			s.state = beforeAttribute
		}
	case u == '=' && (s.state == attributeName || s.state == afterAttributeName):
		s.state = beforeValue
	default:
		s.state = attributeName
	}
	return more
}

func (s *scanner) endTag(selfClosing bool) verdict {
	switch {
	case s.xml && selfClosing:
		return never
	case s.head:
		return after
	default:
		s.state = inText
		return more
	}
}

func space(u uint16) bool {
	return u == ' ' || u == '\n' || u == '\t' || u == '\r' || u == '\f'
}

func letter(u uint16) bool { return u|0x20 >= 'a' && u|0x20 <= 'z' }
