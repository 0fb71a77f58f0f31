package target

import (
	"bytes"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
)

const (
	urlencoded = "application/x-www-form-urlencoded"
	boundary   = "----WebKitFormBoundaryabc123"
	multiparts = "multipart/form-data; boundary=" + boundary
)

// parts writes a body as browsers do; each part is its header lines, an empty
// line and its content, with "\n" for CRLF.
func parts(each ...string) string {
	var b strings.Builder
	for _, p := range each {
		b.WriteString("--" + boundary + "\r\n" + strings.ReplaceAll(p, "\n", "\r\n") + "\r\n")
	}
	return b.String() + "--" + boundary + "--\r\n"
}

func TestFormValuesFindsTheField(t *testing.T) {
	for _, tt := range []struct{ contentType, body string }{
		{urlencoded, "action=delete"},
		{urlencoded, "x=1&action=delete\r\n"},
		{urlencoded + "; charset=UTF-8", "x=1;ACTION=%64elete"},
		{"Application/X-WWW-Form-Urlencoded", "action[]=delete"},
		{urlencoded + ",text/plain", "action=delete"},
		{"", "action=delete"},
		{multiparts, parts("Content-Disposition: form-data; name=\"action\"\n\ndelete")},
		{multiparts, parts("Content-Disposition: form-data; name=\"x\"\n\n1", "content-disposition: form-data; name=ACTION\n\ndelete")},
		{multiparts, parts("Content-Disposition: form-data; name=\"action[]\"\n\ndelete ")},
		{urlencoded, "action%5Bdelete%5D=Delete+this"},
		{urlencoded, "action=%00delete"},
		{multiparts, parts("Content-Disposition: form-data; name=\"action\"\n\n\x00delete")},
		{multiparts, parts("Content-Disposition: form-data; name=\"action\"\n\ndelete\x00.txt")},
		{multiparts, parts("Content-Disposition: form-data; name=\"action[delete]\"\n\nDelete this")},
	} {
		if values, _ := FormValues(tt.contentType, []byte(tt.body), "action"); !slices.Contains(values, "delete") {
			t.Errorf("%s\n%s\naction = %q", tt.contentType, tt.body, values)
		}
	}
}

func TestFormValuesReadsWhatBrowsersSend(t *testing.T) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	_ = w.WriteField("comment", "100% of a+b; action=none")
	_ = w.WriteField("action", "save")
	file, _ := w.CreateFormFile("upload", "report.pdf")
	_, _ = file.Write([]byte("\x00\xff%PDF"))
	_ = w.Close()

	values, unreadable := FormValues(w.FormDataContentType(), body.Bytes(), "action")
	if !slices.Equal(values, []string{"save"}) || unreadable {
		t.Errorf("action = %q, unreadable %v; want save", values, unreadable)
	}
	values, unreadable = FormValues(urlencoded, []byte("comment=100%25+of+a%2Bb&action=save"), "action")
	if !slices.Equal(values, []string{"save"}) || unreadable {
		t.Errorf("action = %q, unreadable %v; want save", values, unreadable)
	}
	for _, other := range []string{"application/json", "text/plain", "application/octet-stream"} {
		if values, unreadable := FormValues(other, []byte("action=delete"), "action"); values != nil || unreadable {
			t.Errorf("%s: action = %q, unreadable %v; want nothing", other, values, unreadable)
		}
	}
}

// A part, and the places where its name is mentioned, count once, however many
// readings the name has.
func TestFormValuesReadsNamesWithSeveralReadings(t *testing.T) {
	body := parts("Content-Disposition: form-data; name=\"item[a+b]\"\n\n1", "Content-Disposition: form-data; name=\"item[c d]\"\n\n2")
	values, unreadable := FormValues(multiparts, []byte(body), "item")
	if !slices.Equal(values, []string{"a+b", "a b", "1", "c d", "2"}) || unreadable {
		t.Errorf("item = %q, unreadable %v; want the keys, 1 and 2", values, unreadable)
	}
}

func TestMayBeFormIsTrueWhereSomeServerWouldLook(t *testing.T) {
	for contentType, want := range map[string]bool{
		"":                                  true,
		urlencoded:                          true,
		urlencoded + "; charset=UTF-8":      true,
		urlencoded + "-x":                   true,
		"text/plain, " + urlencoded:         true,
		"APPLICATION/X-WWW-FORM-URLENCODED": true,
		multiparts:                          true,
		"multipart/mixed; boundary=x":       true,
		"multipart":                         true,
		"text/plain, multipart/form-data":   true,
		"text/plain":                        false,
		"text/plain, application/json":      false,
		"application/json":                  false,
		"application/octet-stream":          false,
	} {
		if got := MayBeForm(contentType); got != want {
			t.Errorf("MayBeForm(%q) = %v", contentType, got)
		}
	}
}

// Two parsers can read these differently; a match must not hang on which.
func TestFormValuesSaysWhatItCannotRead(t *testing.T) {
	honest := "Content-Disposition: form-data; name=\"x\"\n\n1"
	for name, tt := range map[string]struct{ contentType, body string }{
		"too long":              {urlencoded, strings.Repeat("x", MaxFieldBytes+1)},
		"broken escape":         {urlencoded, "%zz=delete"},
		"strange type":          {urlencoded + "-x", "x=1"},
		"another multipart":     {"multipart/mixed; boundary=" + boundary, parts("Content-Type: text/plain\n\n1")},
		"strange charset":       {urlencoded + "; charset=ibm037", "x=1"},
		"two media types":       {"multipart/form-data; boundary=a, " + urlencoded, "action=delete"},
		"no boundary":           {"multipart/form-data", parts(honest)},
		"two boundaries":        {multiparts + "; boundary=x", parts(honest)},
		"boundary with a blank": {`multipart/form-data; boundary="a b"`, "--a b\r\n\r\n--a b--"},
		"preamble":              {multiparts, "x\r\n" + parts(honest)},
		"cut off":               {multiparts, strings.TrimSuffix(parts(honest), "--\r\n")},
		"not a part":            {multiparts, "action=delete"},
		"two dispositions":      {multiparts, parts("Content-Disposition: form-data; name=\"x\"\nContent-Disposition: form-data; name=\"y\"\n\n1")},
		"two names":             {multiparts, parts("Content-Disposition: form-data; name=\"x\"; name=\"y\"\n\n1")},
		"extended name":         {multiparts, parts("Content-Disposition: form-data; name*=utf-8''act%69on\n\n1")},
		"encoded word":          {multiparts, parts("Content-Disposition: form-data; name=\"=?utf-8?q?action?=\"\n\n1")},
		"escaped quote":         {multiparts, parts("Content-Disposition: form-data; name=\"x\\\"y\"\n\n1")},
		"no disposition":        {multiparts, parts("X: y\n\n1")},
		"not form-data":         {multiparts, parts("Content-Disposition: attachment; name=\"x\"\n\n1")},
		"name in a file name":   {multiparts, parts("Content-Disposition: form-data; name=\"x\"; filename=\"a\\\"; name=\"action\"\n\n1")},
		"part inside a part":    {multiparts, parts(honest + "\n--other\nContent-Disposition: form-data; name=\"action\"\n\ndelete")},
		"base64 part":           {multiparts, parts("Content-Disposition: form-data; name=\"action\"\nContent-Transfer-Encoding: base64\n\nZGVsZXRl")},
		"UTF-16 part":           {multiparts, parts("Content-Disposition: form-data; name=\"action\"\nContent-Type: text/plain; charset=utf-16\n\nd")},
		"multipart too long":    {multiparts, parts(honest, "Content-Disposition: form-data; name=\"y\"\n\n"+strings.Repeat("y", MaxFieldBytes))},
	} {
		t.Run(name, func(t *testing.T) {
			if _, unreadable := FormValues(tt.contentType, []byte(tt.body), "action"); !unreadable {
				t.Errorf("%s\n%.300s\nis readable", tt.contentType, tt.body)
			}
		})
	}
}

func FuzzFormValues(f *testing.F) {
	f.Add(urlencoded, []byte("x=1&action=delete"))
	f.Add(multiparts, []byte(parts("Content-Disposition: form-data; name=\"action\"\n\ndelete")))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		values, _ := FormValues(contentType, body, "action")
		if len(values) > maxValues {
			t.Errorf("%d values", len(values))
		}
	})
}
