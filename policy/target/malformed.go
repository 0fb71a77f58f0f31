package target

// Malformed is why a target is refused with 400. It is the only error of
// Reader.Read.
type Malformed struct {
	// Reason is a kebab code, one of the Reason constants.
	Reason string
}

// The reasons, for logs, `policy explain` and metrics.
const (
	ReasonNotOriginForm    = "not-origin-form"
	ReasonDoubleSlash      = "begins-with-double-slash"
	ReasonControlByte      = "control-byte"
	ReasonBlank            = "blank"
	ReasonFragment         = "fragment"
	ReasonBackslash        = "backslash"
	ReasonNonASCII         = "non-ascii"
	ReasonBrokenPercent    = "broken-percent"
	ReasonPercentU         = "percent-u"
	ReasonInvalidUTF8      = "invalid-utf8"
	ReasonOverlongUTF8     = "overlong-utf8"
	ReasonDotSegment       = "dot-segment"
	ReasonTwoDots          = "two-dots"
	ReasonTooManyDecodings = "too-many-decodings"
	ReasonTooManyReadings  = "too-many-readings"
	ReasonTooLong          = "too-long"
)

var reasonText = map[string]string{
	ReasonNotOriginForm:    "it does not begin with a slash",
	ReasonDoubleSlash:      "it begins with two slashes",
	ReasonControlByte:      "a control byte in the path, raw or encoded",
	ReasonBlank:            "a raw blank in the path",
	ReasonFragment:         "a raw # in the path",
	ReasonBackslash:        "a backslash in the path, raw or encoded",
	ReasonNonASCII:         "a raw byte outside ASCII in the path",
	ReasonBrokenPercent:    "a % in the path that starts no escape",
	ReasonPercentU:         "a %uXXXX escape in the path",
	ReasonInvalidUTF8:      "escapes in the path that are no UTF-8",
	ReasonOverlongUTF8:     "overlong UTF-8 in the path",
	ReasonDotSegment:       "a dot segment in the path, plain or hidden",
	ReasonTwoDots:          "a segment of the path ends in two dots",
	ReasonTooManyDecodings: "the path still changes after six decodings",
	ReasonTooManyReadings:  "the path has more than 64 readings",
	ReasonTooLong:          "the path has escapes or parameters and is too long to be read in every way",
}

// Error says for operators what is wrong with the target, without repeating it.
func (m *Malformed) Error() string {
	return "malformed request target: " + reasonText[m.Reason]
}

func malformed(reason string) error { return &Malformed{Reason: reason} }
