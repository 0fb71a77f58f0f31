package web

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// ReadUpload reads a multipart form with one file, of max bytes at most, and
// otherwise fields as ReadForm takes them; a field of the file's name and
// "_text" may be as long. r.PostForm holds the fields afterwards, for
// Guard.Check. All errors are *Fail and the client's fault.
func ReadUpload(w http.ResponseWriter, r *http.Request, file string, max int64) (url.Values, []byte, error) {
	if r.Method != http.MethodPost {
		return nil, nil, &Fail{Status: http.StatusMethodNotAllowed, Allow: http.MethodPost, Err: ErrBadForm}
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" || r.Body == nil {
		return nil, nil, &Fail{Status: http.StatusUnsupportedMediaType, Err: ErrBadForm}
	}
	reader := multipart.NewReader(http.MaxBytesReader(w, r.Body, 2*max+maxFormBytes), params["boundary"])
	values := url.Values{}
	var content []byte
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, uploadError(err)
		}
		name, limit := part.FormName(), int64(maxFormBytes)
		if name == file || name == file+"_text" {
			limit = max
		}
		data, err := io.ReadAll(io.LimitReader(part, limit+1))
		switch {
		case err != nil:
			return nil, nil, uploadError(err)
		case int64(len(data)) > limit:
			return nil, nil, &Fail{Status: http.StatusRequestEntityTooLarge, Err: ErrBadForm}
		case name == file:
			content = data
		case name == "" || values.Has(name) || len(values) >= maxFormFields || !utf8.Valid(data) || strings.ContainsRune(string(data), 0):
			return nil, nil, badForm()
		default:
			values.Set(name, string(data))
		}
	}
	r.PostForm = values
	return values, content, nil
}

func uploadError(err error) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return &Fail{Status: http.StatusRequestEntityTooLarge, Err: ErrBadForm}
	}
	return badForm()
}
