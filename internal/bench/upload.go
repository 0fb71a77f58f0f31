package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	uploadsOfTurn = 10
	uploadsAtOnce = 200
	uploadBytes   = 10 << 20
)

// uploads has rows of forms with a file of 10 MiB, one at a time: passed straight
// through, kept until a challenge is met, and as many bytes written to files on
// the same disk and synced; and one of two hundred that are kept at once.
func uploads(ctx context.Context, b *bench, name string) error {
	g, err := b.gateway(ctx, name, gated(onSQLite, false, "\t\tkeep_requests 64MiB\n"+trusted,
		"\t\t\trequire signed_in /cases/*\n\t\t\trequire mfa /kept/*\n"), nil)
	if err != nil {
		return err
	}
	form, kind, err := uploadForm()
	if err != nil {
		return err
	}
	u := &uploader{gateway: g, form: form, kind: kind}
	crowd, err := u.crowd()
	if err != nil {
		return err
	}
	var beside []*row
	for _, file := range []string{"the same file", "a new file"} {
		c, err := b.child("write", filepath.Join(b.dir, strings.ReplaceAll(file, " ", "-")), file)
		if err != nil {
			return err
		}
		beside = append(beside, b.addChild("written to "+file+" and synced", c, uploadsOfTurn))
	}
	passed := &row{name: name + ", passed", take: u.turn("/cases/upload", http.StatusOK)}
	b.rows = append(b.rows, passed,
		&row{name: name + ", kept", beside: append(beside, passed), bySpeed: true, memory: g.memory, take: u.turn("/kept/upload", http.StatusSeeOther)}, crowd)
	return nil
}

func uploadForm() (form []byte, kind string, err error) {
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	file, err := parts.CreateFormFile("evidence", "photograph.jpg")
	if err == nil {
		_, err = io.CopyN(file, rand.Reader, uploadBytes)
	}
	if err == nil {
		err = parts.Close()
	}
	return body.Bytes(), parts.FormDataContentType(), err
}

// uploader sends a form, each time by somebody who has sent none before: an
// account may have so much kept and no more.
type uploader struct {
	gateway *gateway
	form    []byte
	kind    string
	people  int
}

// sender signs somebody in, and gives what sends the form.
func (u *uploader) sender(target string, want int) (send func() error, err error) {
	u.people++
	who, err := newBrowser(u.gateway.url(), u.people%1024)
	if err != nil {
		return nil, err
	}
	who.named = fmt.Sprint("sender", u.people)
	if _, err := who.arrive(); err != nil {
		return nil, err
	}
	line, err := who.cookies()
	if err != nil {
		return nil, err
	}
	return func() error {
		r, err := http.NewRequest(http.MethodPost, who.base+target, bytes.NewReader(u.form))
		if err != nil {
			return err
		}
		for name, value := range map[string]string{
			"Cookie": line, "Content-Type": u.kind, "Origin": who.base, "X-Person": who.named, "User-Agent": userAgent,
			"Accept-Language": "en-GB", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin",
		} {
			r.Header.Set(name, value)
		}
		resp, err := who.client.Transport.RoundTrip(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		// Where nothing is kept, a page says so at once.
		if resp.StatusCode != want || want == http.StatusSeeOther && !strings.Contains(resp.Header.Get("Location"), "/.stepgate/challenge?") {
			return fmt.Errorf("%s: status %d, to %q", target, resp.StatusCode, resp.Header.Get("Location"))
		}
		return nil
	}, nil
}

func (u *uploader) turn(target string, want int) func() (turn, error) {
	return func() (turn, error) {
		send, err := u.sender(target, want)
		if err != nil {
			return turn{}, err
		}
		return around(u.gateway.cpu, uploadsOfTurn, func() ([]time.Duration, error) {
			return each(1, uploadsOfTurn, func(_, _ int) error { return send() })
		})
	}
}

// crowd is a row of what two hundred have done at once, and of the most memory
// that the gateway had meanwhile.
func (u *uploader) crowd() (*row, error) {
	sends := make([]func() error, uploadsAtOnce)
	for i := range sends {
		var err error
		if sends[i], err = u.sender("/kept/upload", http.StatusSeeOther); err != nil {
			return nil, err
		}
	}
	pid := u.gateway.process.Process.Pid
	before, err := resident(pid)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil { // the peak, proc(5)
		return nil, err
	}
	t, err := around(u.gateway.cpu, uploadsAtOnce, func() ([]time.Duration, error) {
		return each(uploadsAtOnce, uploadsAtOnce, func(_, i int) error { return sends[i]() })
	})
	if err != nil {
		return nil, err
	}
	most, err := statusOf(pid, "VmHWM:")
	return &row{
		name:   fmt.Sprintf("%d kept at once, in %.1f s; memory %d MB before and at most", uploadsAtOnce, uploadsAtOnce/t.rate, before/1_000_000),
		take:   func() (turn, error) { return t, nil },
		memory: func() (int64, error) { return most, nil },
	}, err
}

// write writes as many bytes as an upload has to a file and syncs it: over the
// same file each time, in pages of memory that are there already, or to a new one.
func write(args []string) error {
	form, _, err := uploadForm()
	if err != nil {
		return err
	}
	n := 0
	return obey(1, func(int) error {
		if args[1] == "a new file" {
			n++
		}
		f, err := os.Create(fmt.Sprint(args[0], n))
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err = f.Write(form); err == nil {
			err = f.Sync()
		}
		return err
	})
}
