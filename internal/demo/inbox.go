package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"slices"
	"time"
)

const (
	inboxMessages = 100
	inboxBytes    = 256 << 10 // read from the end of each file
)

// message is one line of a file that the gateway writes in place of sending.
type message struct {
	Time    time.Time `json:"time"`
	Channel string    `json:"channel"` // "sms" or "email"
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Body    string    `json:"body"`
}

// span is a piece of a message's body; Link says that it is an address.
type span struct {
	Text string
	Link bool
}

var webAddress = regexp.MustCompile(`https?://[^\s<>"]+`)

// Spans cuts the body at its web addresses, so that the page can link them.
func (m message) Spans() []span {
	var out []span
	last := 0
	for _, at := range webAddress.FindAllStringIndex(m.Body, -1) {
		out = append(out, span{Text: m.Body[last:at[0]]}, span{Text: m.Body[at[0]:at[1]], Link: true})
		last = at[1]
	}
	return append(out, span{Text: m.Body[last:]})
}

// Inbox shows the messages in the two files, newest first, and loads itself
// again every few seconds. The files hold one JSON object a line; they need
// not exist yet, they may be the same, and a line that is not whole yet is
// left out. Whoever can open the page reads every code, so it is for
// demonstrations only.
func Inbox(smsFile, emailFile string) http.Handler {
	page := template.Must(template.ParseFS(files, "inbox/page.html"))
	paths := slices.Compact([]string{smsFile, emailFile})
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var all []message
		for _, path := range paths {
			found, err := readMessages(path)
			if err != nil {
				http.Error(w, "The messages could not be read.", http.StatusInternalServerError)
				return
			}
			all = append(all, found...)
		}
		slices.Reverse(all) // of equal times the later line first
		slices.SortStableFunc(all, func(a, b message) int { return b.Time.Compare(a.Time) })
		var out bytes.Buffer
		if err := page.Execute(&out, all[:min(len(all), inboxMessages)]); err != nil {
			http.Error(w, "The page could not be drawn.", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = out.WriteTo(w)
	})
}

// readMessages returns what the end of the file holds, in the file's order.
func readMessages(path string) ([]message, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, info.Size()-inboxBytes)
	data, err := io.ReadAll(io.NewSectionReader(f, from, inboxBytes))
	if err != nil {
		return nil, err
	}
	var found []message
	for line := range bytes.Lines(data) {
		var m message
		if json.Unmarshal(line, &m) == nil && m.Channel != "" {
			found = append(found, m)
		}
	}
	return found, nil
}
