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

// FormValues gives every value that a common reading of a form body gives to
// name, under the Content-Type header as sent. Bodies that are no form give
// nothing. Names and values are read as in Readings.QueryValues; the texts of
// multipart fields count as they are.
//
// It reads MaxFieldBytes of the body. The caller passes a longer one, if only
// by a byte, where there is more: what lies behind cannot be read. The same
// holds for a body in a Content-Encoding, which the caller has to notice.
func FormValues(contentType string, body []byte, name string) (values []string, unreadable bool) {
	if len(body) == 0 {
		return nil, false
	}
	f := fields{key: fieldKey(name)}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = looseKind(contentType)
		f.unreadable = kind != ""
	}
	switch {
	case kind == "application/x-www-form-urlencoded", strings.TrimSpace(contentType) == "":
		f.unreadable = f.unreadable || !asciiCharset(params["charset"])
		f.read(string(body))
	case strings.HasPrefix(kind, "multipart/"):
		f.unreadable = f.unreadable || !asciiCharset(params["charset"]) || len(body) > MaxFieldBytes
		f.readMultipart(body[:min(len(body), MaxFieldBytes)], params["boundary"])
	}
	return f.values, f.unreadable
}

// looseKind is what a careless parser would take from a header that a strict
// one refuses.
func looseKind(contentType string) string {
	contentType = strings.ToLower(contentType)
	switch {
	case strings.Contains(contentType, "urlencoded"):
		return "application/x-www-form-urlencoded"
	case strings.Contains(contentType, "multipart"):
		return "multipart/form-data"
	default:
		return ""
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
func (f *fields) readMultipart(body []byte, boundary string) {
	found := 0
	if plainBoundary.MatchString(boundary) && framed(body, "--"+boundary) {
		found = f.readParts(body, boundary)
	} else {
		f.unreadable = true
	}
	// A parser that splits the body elsewhere may find a field where this
	// one saw text.
	for _, m := range nameParameter.FindAllSubmatch(body, -1) {
		if f.named(strings.Trim(string(m[2]), `"'`)) {
			found--
		}
		f.unreadable = f.unreadable || len(m[1]) > 0
	}
	f.unreadable = f.unreadable || found < 0
}

// framed tells whether the body begins and ends as browsers write it: nothing
// before the first delimiter, nothing but line ends behind the last.
func framed(body []byte, delimiter string) bool {
	return bytes.HasPrefix(body, []byte(delimiter+"\r\n")) &&
		bytes.HasSuffix(bytes.TrimRight(body, "\r\n"), []byte("\n"+delimiter+"--"))
}

// readParts gives the number of parts with the field's name.
func (f *fields) readParts(body []byte, boundary string) (found int) {
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			f.unreadable = true
			return found
		}
		name, ok := partName(part.Header)
		if !ok {
			f.unreadable = true
		}
		content, err := io.ReadAll(part)
		if err != nil {
			f.unreadable = true
		}
		if f.named(name) {
			found++
			f.addKeys(name)
			f.addExact(string(content))
			f.addExact(strings.TrimSpace(string(content)))
			f.unreadable = f.unreadable || !plainPart(part.Header)
		}
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
