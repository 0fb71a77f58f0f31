package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

func multipartForm(t *testing.T, token, name string, data []byte) (contentType string, body *bytes.Buffer) {
	t.Helper()
	body = new(bytes.Buffer)
	form := multipart.NewWriter(body)
	if err := form.WriteField("token", token); err != nil {
		t.Fatal(err)
	}
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return form.FormDataContentType(), body
}

func TestUploadComesBackByteForByte(t *testing.T) {
	b := open(t)
	data := bytes.Repeat([]byte{0, 1, 2, 250, '\r', '\n'}, 50_000)
	contentType, body := multipartForm(t, b.token("/cases/1003/documents"), "exhibit é.bin", data)
	if status, _, _ := b.do("POST", "/cases/1003/documents", contentType, body); status != http.StatusFound {
		t.Fatalf("upload: status %d", status)
	}
	sum := sha256.Sum256(data)
	_, page := b.get("/cases/1003/documents")
	contains(t, page, "exhibit é.bin", "300000", hex.EncodeToString(sum[:]), `href="/cases/1003/documents/1"`)
	_, back, h := b.do("GET", "/cases/1003/documents/1", "", nil)
	if back != string(data) {
		t.Errorf("download has %d other bytes", len(back))
	}
	if got := h.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment; filename*=utf-8''exhibit") {
		t.Errorf("disposition %q", got)
	}
}

func TestUploadRefusals(t *testing.T) {
	b := open(t)
	token := b.token("/cases/1001/documents")
	for name, c := range map[string]struct {
		token, file string
		size, want  int
	}{
		"wrong token": {"00", "a", 1, http.StatusForbidden},
		"no file":     {token, "", 0, http.StatusBadRequest},
		"too large":   {token, "a", maxUploadBytes + 1, http.StatusRequestEntityTooLarge},
	} {
		contentType, body := multipartForm(t, c.token, c.file, make([]byte, c.size))
		if status, _, _ := b.do("POST", "/cases/1001/documents", contentType, body); status != c.want {
			t.Errorf("%s: status %d, want %d", name, status, c.want)
		}
	}
	if status, _, _ := b.do("POST", "/cases/1001/documents", "text/plain", strings.NewReader("x")); status != http.StatusBadRequest {
		t.Errorf("not multipart: status %d", status)
	}
}
