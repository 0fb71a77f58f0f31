package demo

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
)

// maxUploadBytes bounds one upload, form fields included.
const maxUploadBytes = 32 << 20

func (p *portal) listDocuments(w http.ResponseWriter, r *http.Request) {
	if c, ok := p.caseOf(w, r); ok {
		p.render(w, r, http.StatusOK, "documents", "Documents of "+c.Docket,
			casePage{Case: c, Documents: p.records.documentsOf(c.ID)})
	}
}

func (p *portal) fileDocument(w http.ResponseWriter, r *http.Request) {
	c, ok := p.caseOf(w, r)
	if !ok {
		return
	}
	up, err := readUpload(w, r)
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		p.say(w, r, http.StatusRequestEntityTooLarge, "Document not filed", "The document is too large.")
	case err != nil || up.name == "":
		p.say(w, r, http.StatusBadRequest, "Document not filed", "Please choose a document first.")
	case !p.tokenFits(r, up.token):
		p.refuseToken(w, r)
	default:
		p.records.file(document{Case: c.ID, At: p.now().UTC(), Author: visitorOf(r).author(), Name: up.name}, up.data)
		http.Redirect(w, r, "/cases/"+strconv.Itoa(c.ID)+"/documents", http.StatusFound)
	}
}

type upload struct {
	token string
	name  string // base name that the browser gave; empty if no file was sent
	data  []byte
}

// readUpload reads the fields "token" and "file" of a multipart form.
func readUpload(w http.ResponseWriter, r *http.Request) (upload, error) {
	var up upload
	r.Body = http.MaxBytesReader(w, r.Body, maxUploadBytes)
	form, err := r.MultipartReader()
	if err != nil {
		return up, err
	}
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			return up, nil
		}
		if err != nil {
			return up, err
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return up, err
		}
		switch part.FormName() {
		case "token":
			up.token = string(data)
		case "file":
			up.name, up.data = part.FileName(), data
		}
	}
}

func (p *portal) download(w http.ResponseWriter, r *http.Request) {
	c, ok := p.caseOf(w, r)
	if !ok {
		return
	}
	for _, d := range p.records.documentsOf(c.ID) {
		if strconv.Itoa(d.Number) == r.PathValue("n") {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.Name}))
			http.ServeContent(w, r, "", d.At, bytes.NewReader(d.data))
			return
		}
	}
	p.say(w, r, http.StatusNotFound, "No such document", "The case has no document with that number.")
}
