package author

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const oneLine = `10.0.0.1 - - [02/Mar/2026:12:00:00 +0000] "GET /cases/7 HTTP/1.1" 200 1 "-" "b"` + "\n"

// TestRehearseReadsWhatIsPacked knows compressions by their first bytes.
func TestRehearseReadsWhatIsPacked(t *testing.T) {
	packers := map[string]func(io.Writer) (io.WriteCloser, error){
		"gz":  func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		"zst": func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
		"xz":  func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
	}
	for name, pack := range packers {
		var packed bytes.Buffer
		w, err := pack(&packed)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, strings.Repeat(oneLine, 1000))
		w.Close()
		r := &Rehearsal{Sites: []*Site{siteOf(t, contractSample)}}
		report, err := r.Run(t.Context(), Log{Name: name, Reader: bytes.NewReader(packed.Bytes())})
		if err != nil || report.Requests != 1000 {
			t.Errorf("%s: %v, %d requests", name, err, report.Requests)
		}
		if len(packed.Bytes()) < 40 {
			continue
		}
		report, err = r.Run(t.Context(), Log{Name: name, Reader: bytes.NewReader(packed.Bytes()[:packed.Len()-12])})
		if err == nil || report == nil {
			t.Errorf("%s cut short: %v, report %v", name, err, report)
		}
	}
}

func TestRehearseShowsLinesThatItCannotRead(t *testing.T) {
	r := &Rehearsal{Sites: []*Site{siteOf(t, contractSample)}}
	report, err := r.Run(t.Context(), Log{Reader: strings.NewReader("one\ntwo\nthree\nfour\n{\"host\":\"x\"}\n" + oneLine)})
	if err != nil || report.Unreadable != 5 || strings.Join(report.Samples, " ") != "one two three" {
		t.Errorf("%v, %+v", err, report)
	}
}

// TestRehearseTellsActionsApart: one page of a front controller is many, and a
// session in a path makes no page.
func TestRehearseTellsActionsApart(t *testing.T) {
	for raw, want := range map[string]string{
		"/case.do?action=edit&id=4": "/case.do?action=edit", "/case.do;jsessionid=1F?action=edit": "/case.do?action=edit",
		"/case.do;jsessionid=1F2E": "/case.do", "/a;x=1/b": "/a/b", "/case.do?id=4": "/case.do", "/x?page=12": "/x",
	} {
		if got := general(raw) + action(raw); got != want {
			t.Errorf("%s counts as %s, want %s", raw, got, want)
		}
	}
}

func TestCoverageNamesWhatNoAssertionTouches(t *testing.T) {
	s := siteOf(t, contractSample)
	c := NewCoverage(s, noon)
	list, all := c.Untouched()
	if len(list) != all || all != 13 {
		t.Fatalf("%d of %d untouched at first", len(list), all)
	}
	for _, u := range list {
		if u.Suggest == "" {
			continue
		}
		assertions, err := ReadAssertions("suggested", strings.NewReader(u.Suggest))
		if err != nil || len(assertions) != 1 {
			t.Fatalf("%s: %v", u.Suggest, err)
		}
		assertions[0].Facts.Now = noon
		v, err := assertions[0].Check(s)
		if err != nil || !v.Holds {
			t.Errorf("%s: %v, %v", u.Suggest, err, v)
		}
		c.See(v.Answer)
	}
	rest, _ := c.Untouched()
	for _, u := range rest {
		if u.Suggest != "" {
			t.Errorf("what was suggested for %s does not touch it: %s", u.Text, u.Suggest)
		}
	}
	if len(rest) > 1 {
		t.Errorf("untouched: %+v", rest)
	}
}
