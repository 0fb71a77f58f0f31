package kept

import (
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
)

const (
	maxNames     = 20
	maxNameRunes = 80
	// maxLook is how much of an urlencoded form is looked at, in bytes.
	maxLook = 64 << 10
)

// Content is what the person is shown of a body to know it again: names,
// never what was typed.
type Content struct {
	// Fields are names of a form's fields, and Files the names of the files
	// in it; 20 of each at most.
	Fields []string `json:"fields,omitempty"`
	Files  []string `json:"files,omitempty"`
}

// look looks at a body on its way into the store.
type look struct {
	at   *passing // nil where there is nothing to see
	seen chan Content
	done *Content
}

// lookAt begins to look at a body of some type. end must be called.
func lookAt(contentType, encoding string) *look {
	kind, params, err := mime.ParseMediaType(contentType)
	var read func(io.Reader) Content
	switch {
	case err != nil || encoding != "":
	case kind == "application/x-www-form-urlencoded":
		read = lookAtForm
	case kind == "multipart/form-data" && params["boundary"] != "":
		read = func(from io.Reader) Content { return lookAtParts(from, params["boundary"]) }
	}
	if read == nil {
		return &look{done: new(Content)}
	}
	l := &look{at: &passing{chunks: make(chan []byte), done: make(chan struct{}, 1)}, seen: make(chan Content, 1)}
	go func() {
		l.seen <- read(l.at)
		l.at.discard()
	}()
	return l
}

// begin has a chunk looked at. It must not change until wait has been called.
func (l *look) begin(chunk []byte) {
	if l.at != nil {
		l.at.chunks <- chunk
	}
}

func (l *look) wait() {
	if l.at != nil {
		<-l.at.done
	}
}

// end says what was seen. It may be called twice.
func (l *look) end() Content {
	if l.done == nil {
		close(l.at.chunks)
		seen := <-l.seen
		l.done = &seen
	}
	return *l.done
}

// passing reads the chunks that are put before it, and says of each when it is
// done with it. Unlike an io.Pipe it has nobody wait for anybody in the midst of
// a chunk, which would take longer than the looking.
type passing struct {
	chunks chan []byte
	done   chan struct{}
	has    bool // a chunk that it has not said to be done with
	rest   []byte
}

func (p *passing) Read(into []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.has {
			p.done <- struct{}{}
		}
		if p.rest, p.has = <-p.chunks; !p.has {
			return 0, io.EOF
		}
	}
	n := copy(into, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// discard reads to the end.
func (p *passing) discard() {
	for err := error(nil); err == nil; _, err = p.Read(nil) {
		p.rest = nil
	}
}

func lookAtForm(from io.Reader) (c Content) {
	text, err := io.ReadAll(io.LimitReader(from, maxLook))
	if err != nil {
		return c
	}
	for part := range strings.SplitSeq(string(text), "&") {
		name, value, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(name); err == nil && value != "" {
			c.Fields = addName(c.Fields, name)
		}
	}
	return c
}

// quoted undoes what browsers do to names in uploads (HTML, multipart form
// data).
var quoted = strings.NewReplacer("%22", `"`, "%0D", " ", "%0A", " ")

func lookAtParts(from io.Reader, boundary string) (c Content) {
	parts := multipart.NewReader(from, boundary)
	for len(c.Fields) < maxNames || len(c.Files) < maxNames {
		part, err := parts.NextRawPart()
		if err != nil {
			return c
		}
		if file := part.FileName(); file != "" {
			c.Files = addName(c.Files, path.Base(strings.ReplaceAll(quoted.Replace(file), `\`, "/")))
		} else if _, params, _ := mime.ParseMediaType(part.Header.Get("Content-Disposition")); params["filename"] == "" {
			c.Fields = addName(c.Fields, quoted.Replace(part.FormName()))
		}
	}
	return c
}

// addName adds a name that a page can show, once, while there is room.
func addName(names []string, name string) []string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1 // marks that turn the direction of text among them
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD")))
	if runes := []rune(name); len(runes) > maxNameRunes {
		name = string(runes[:maxNameRunes]) + "…"
	}
	if name == "" || len(names) >= maxNames || slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}
