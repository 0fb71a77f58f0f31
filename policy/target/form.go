package target

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"regexp"
	"strings"
)

// Form reads a form body under the Content-Type header as sent. Bodies that
// are no form have no fields. Names and values are read as in a query; the
// texts of multipart fields count as they are.
//
// It reads MaxFieldBytes of the body. The caller passes a longer one, if only
// by a byte, where there is more: what lies behind cannot be read. The same
// holds for a body in a Content-Encoding, which the caller has to notice.
func Form(contentType string, body []byte) *Fields {
	kind, params, strict := formKind(contentType)
	if len(body) == 0 || kind == noForm {
		return nil
	}
	fs := &Fields{unreadable: !strict || !asciiCharset(params["charset"])}
	if kind == urlencodedForm {
		fs.read(string(body))
		return fs
	}
	fs.unreadable = fs.unreadable || len(body) > MaxFieldBytes
	fs.readMultipart(body[:min(len(body), MaxFieldBytes)], params["boundary"])
	return fs
}

// FormValues is Form().Values, for who asks for one name only.
func FormValues(contentType string, body []byte, name string) (values []string, unreadable bool) {
	return Form(contentType, body).Values(name)
}

// MayBeForm tells whether Form would look at a body. Several Content-Type
// headers are given joined by commas.
func MayBeForm(contentType string) bool {
	kind, _, _ := formKind(contentType)
	return kind != noForm
}

type bodyKind int

const (
	noForm bodyKind = iota
	urlencodedForm
	multipartForm
)

// formKind tells how some server would read a body. strict says that every
// server would: no browser sends what is not.
func formKind(contentType string) (kind bodyKind, params map[string]string, strict bool) {
	if strings.TrimSpace(contentType) == "" {
		return urlencodedForm, nil, true
	}
	word, params, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && word == "application/x-www-form-urlencoded":
		return urlencodedForm, params, true
	case err == nil && strings.HasPrefix(word, "multipart/"):
		return multipartForm, params, true
	case err == nil:
		return looseKind(word), params, false
	default:
		return looseKind(contentType), nil, false
	}
}

// looseKind is what a careless parser would take from a header: one that looks
// at its beginning, or at another of several.
func looseKind(contentType string) bodyKind {
	contentType = strings.ToLower(contentType)
	switch {
	case strings.Contains(contentType, "urlencoded"):
		return urlencodedForm
	case strings.Contains(contentType, "multipart"):
		return multipartForm
	default:
		return noForm
	}
}

// asciiCharset tells whether ASCII stands for itself in a charset. In others
// (UTF-16, UTF-7, EBCDIC) a name can be spelled in bytes that show nothing.
func asciiCharset(charset string) bool {
	c := strings.ToLower(strings.TrimSpace(charset))
	switch c {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "latin1":
		return true
	}
	return strings.HasPrefix(c, "iso-8859-") || strings.HasPrefix(c, "windows-125")
}

var (
	// RFC 2046 §5.1.1, without the blank, which parsers disagree about.
	plainBoundary = regexp.MustCompile(`^[0-9A-Za-z'()+_,./:=?-]{1,70}$`)
	// A field's name as a parameter anywhere, however it is quoted.
	nameParameter = regexp.MustCompile(`(?i)name(\*?)[\t ]*=[\t\r\n ]*("[^"\r\n]*"?|'[^'\r\n]*'?|[^;\r\n\t ]*)`)
)

// readMultipart reads the parts. Whatever two parsers could disagree about
// makes the body unreadable.
func (fs *Fields) readMultipart(body []byte, boundary string) {
	if plainBoundary.MatchString(boundary) && framed(body, "--"+boundary) {
		fs.readParts(body, boundary)
	} else {
		fs.unreadable = true
	}
	for n, m := range nameParameter.FindAllSubmatch(body, -1) {
		fs.name(strings.Trim(string(m[2]), `"'`), field{kind: mentioned, part: n})
		fs.unreadable = fs.unreadable || len(m[1]) > 0
	}
}

// framed tells whether the body begins and ends as browsers write it: nothing
// before the first delimiter, nothing but line ends behind the last.
func framed(body []byte, delimiter string) bool {
	return bytes.HasPrefix(body, []byte(delimiter+"\r\n")) &&
		bytes.HasSuffix(bytes.TrimRight(body, "\r\n"), []byte("\n"+delimiter+"--"))
}

func (fs *Fields) readParts(body []byte, boundary string) {
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for n := 0; ; n++ {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fs.unreadable = true
			return
		}
		name, ok := partName(part.Header)
		content, err := io.ReadAll(part)
		if !ok || err != nil {
			fs.unreadable = true
		}
		fs.name(name, field{kind: exact, value: string(content), part: n, garbled: !plainPart(part.Header)})
	}
}

// partName gives a part's field name (RFC 7578 §4.2), and whether every
// parser would find the same.
func partName(h textproto.MIMEHeader) (name string, ok bool) {
	disposition := h["Content-Disposition"]
	if len(disposition) != 1 {
		return "", false
	}
	kind, params, err := mime.ParseMediaType(disposition[0])
	if err != nil || kind != "form-data" {
		return "", false
	}
	name, named := params["name"]
	for p := range params {
		named = named && (p == "name" || p == "filename")
	}
	return name, named && !strings.ContainsAny(name, `\"`) && !strings.Contains(name, "=?")
}

// plainPart tells whether a part's bytes are its text.
func plainPart(h textproto.MIMEHeader) bool {
	switch strings.ToLower(strings.TrimSpace(h.Get("Content-Transfer-Encoding"))) {
	case "", "7bit", "8bit", "binary":
	default:
		return false
	}
	contentType := h.Get("Content-Type")
	if contentType == "" {
		return true
	}
	_, params, err := mime.ParseMediaType(contentType)
	return err == nil && asciiCharset(params["charset"])
}
