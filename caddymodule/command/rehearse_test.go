package command

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/author"
	"github.com/stepgate/stepgate/policy/target"
)

// gatesOf is a drawing of one gate.
type gatesOf struct {
	Drawing
	site *author.Site
}

func (g gatesOf) Sites() []*author.Site      { return []*author.Site{g.site} }
func (g gatesOf) ReportOnly() []*author.Site { return []*author.Site{nil} }
func (g gatesOf) Limits() author.Limits {
	return author.Limits{Idle: time.Hour, Absolute: time.Hour}
}

func gate(t *testing.T) gatesOf {
	t.Helper()
	config := &policy.Config{}
	compiled, err := policy.Compile(config, policy.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := target.NewReader(target.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return gatesOf{site: &author.Site{Origin: "https://portal.test", Config: config, Policy: compiled, Reader: reader}}
}

// interrupting is a log that Ctrl-C ends: it says nothing more once it is
// being judged, and never ends.
type interrupting struct {
	log    *strings.Reader
	judged <-chan struct{}
	once   sync.Once
	never  chan struct{}
}

func (i *interrupting) Read(p []byte) (int, error) {
	if i.log.Len() > 0 {
		return i.log.Read(p)
	}
	<-i.judged
	i.once.Do(func() { syscall.Kill(os.Getpid(), syscall.SIGINT) })
	<-i.never
	return 0, nil
}

// TestRehearseGivesAPartialReportOnCtrlC although its log is silent.
func TestRehearseGivesAPartialReportOnCtrlC(t *testing.T) {
	g := gate(t)
	judged, once := make(chan struct{}), sync.Once{}
	g.site.Describe = func() func(author.Facts) any {
		return func(author.Facts) any {
			once.Do(func() { close(judged) })
			return nil
		}
	}
	line := `10.0.0.1 - - [02/Mar/2026:12:00:00 +0000] "GET /cases/7 HTTP/1.1" 200 1` + "\n"
	c := policyRehearseCommand()
	c.SetContext(t.Context())
	in := &interrupting{log: strings.NewReader(strings.Repeat(line, 50_000)), judged: judged, never: make(chan struct{})}
	defer close(in.never)
	c.SetIn(in)
	report, err := rehearse(c, &author.Rehearsal{Sites: g.Sites()}, g, []string{"-"})
	if err == nil || !strings.Contains(err.Error(), "interrupted") || report == nil || !report.Partial {
		t.Fatalf("%v, %+v", err, report)
	}
	report.Requests = 1 // whatever was judged by then
	var out bytes.Buffer
	c.SetOut(&out)
	if err := printReport(c, report); err != nil || !strings.HasPrefix(out.String(), "PARTIAL: not everything was read\n") {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestMeterSaysWhenItWillBeDone(t *testing.T) {
	m := &meter{size: 1000}
	m.read.Store(250)
	if got := m.line(5000, 10*time.Second); got != " 25%  5000 lines, 500 a second, 30s left" {
		t.Errorf("%q", got)
	}
	m.unknown = true
	if got := m.line(5000, 10*time.Second); got != "5000 lines, 500 a second" {
		t.Errorf("%q", got)
	}
}
