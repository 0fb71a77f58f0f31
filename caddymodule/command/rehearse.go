package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/policy/accesslog"
	"github.com/stepgate/stepgate/policy/author"
)

func policyRehearseCommand() *cobra.Command {
	c := leaf("rehearse LOG…", "Holds access logs against the policy: who would be asked for what", cobra.MinimumNArgs(1), rehearsePolicy)
	factFlags(c)
	reportOnlyFlag(c)
	c.Flags().Int("top", 10, "how many URLs to list of each kind")
	c.Flags().Bool("propose", false, "print a policy drafted from the traffic instead, for a person to edit: never weaker than a rule that is enforced")
	formatFlag(c)
	htmlFlag(c)
	c.Long = "Reads the access logs of Apache, nginx, Caddy, IIS, HAProxy, Traefik, Envoy, and of AWS's balancers\n" +
		"and CloudFront, packed (.gz, .zst, .bz2, .xz) or not, `-` for stdin. Name them oldest first:\n" +
		"sessions are played in that order. Logs of any size do; memory does not grow. What a log does\n" +
		"not say is that of an ordinary visit, or of the flags. Ctrl-C ends with what was read so far."
	return c
}

func rehearsePolicy(c *cobra.Command, logs []string) error {
	d, err := drawConfigured(c)
	if err != nil {
		return err
	}
	propose, _ := c.Flags().GetBool("propose")
	r := &author.Rehearsal{Sites: sitesOf(c, d), Paths: propose || flagText(c, "html") != ""}
	if watched, _ := c.Flags().GetBool("report-only"); watched {
		r.Enforced = d.Sites()
	}
	// Most of what a line takes is garbage at once, and the program ends soon.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	report, err := rehearse(c, r, d, logs)
	if report == nil {
		return err
	}
	if nothing := nothingRead(report); nothing != nil {
		return errors.Join(err, nothing)
	}
	print := printReport
	if propose {
		print = func(c *cobra.Command, report *author.Report) error { return printProposals(c, r, report) }
	}
	return errors.Join(print(c, report), writePage(c, func(w io.Writer) error { return r.RenderHTML(w, report) }), err)
}

// siteProposal is a drafted policy as it is printed.
type siteProposal struct {
	Site   string `json:"site"`
	Policy string `json:"policy"`
}

func printProposals(c *cobra.Command, r *author.Rehearsal, report *author.Report) error {
	list, err := r.Propose(report, time.Now())
	if err != nil {
		return err
	}
	p := newPrinter(c)
	for _, one := range list {
		switch {
		case p.json:
			err = p.object(siteProposal{one.Origin, one.Text})
		case len(list) > 1:
			_, err = fmt.Fprintf(p.out, "# %s\n%s\n", one.Origin, one.Text)
		default:
			_, err = io.WriteString(p.out, one.Text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// formatFlag names the format of logs where it cannot be found out.
func formatFlag(c *cobra.Command) {
	var names []string
	for _, f := range accesslog.Formats() {
		names = append(names, string(f))
	}
	c.Flags().String("format", "", "the `format` of the logs' lines, where it is not recognised: "+strings.Join(names, ", "))
}

// printReport prints what was seen, also of logs that broke off.
func printReport(c *cobra.Command, report *author.Report) error {
	if p := newPrinter(c); p.json {
		return p.object(report)
	}
	return report.Render(c.OutOrStdout())
}

// nothingRead says that a report is one of nothing.
func nothingRead(report *author.Report) error {
	if report.Requests > 0 {
		return nil
	}
	if len(report.Samples) == 0 {
		return errors.New("the logs have no line in them that is a request")
	}
	text := fmt.Sprintf("nothing could be read: of %d lines none is in a format that is known; the first are", report.Lines)
	for _, line := range report.Samples {
		text += "\n\t" + visible(line)
	}
	return errors.New(text)
}

// rehearse runs a rehearsal over log files, with what the flags assume.
func rehearse(c *cobra.Command, r *author.Rehearsal, d Drawing, files []string) (*author.Report, error) {
	facts, err := factsOf(c)
	if err != nil {
		return nil, err
	}
	facts.Complete(facts.Now)
	r.Facts = facts
	r.Limits = d.Limits()
	if top, err := c.Flags().GetInt("top"); err == nil {
		if top < 1 {
			return nil, usagef("--top %d: expected a number above zero", top)
		}
		r.Top = top
	}
	if name := flagText(c, "format"); name != "" {
		if r.Format, err = accesslog.ParseFormat(name); err != nil {
			return nil, usagef("--format: %s", err)
		}
	}
	meter := &meter{out: terminal(c.ErrOrStderr()), began: time.Now()}
	logs, closeLogs, err := openLogs(c, meter, files)
	defer closeLogs()
	if err != nil {
		return nil, err
	}
	r.Seen = meter.seen
	interrupted, stop := signal.NotifyContext(c.Context(), os.Interrupt)
	defer stop()
	report, err := r.Run(interrupted, logs...)
	meter.clear()
	if report != nil && err != nil {
		report.Partial = true
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted: the report has what was read until then")
	}
	return report, err
}

func openLogs(c *cobra.Command, m *meter, files []string) (logs []accesslog.Log, closeLogs func(), err error) {
	var opened []*os.File
	closeLogs = func() {
		for _, f := range opened {
			f.Close()
		}
	}
	for _, name := range files {
		if name == "-" {
			logs = append(logs, accesslog.Log{Name: "stdin", Reader: c.InOrStdin()})
			m.unknown = true
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, closeLogs, err
		}
		opened = append(opened, f)
		info, err := f.Stat()
		if err == nil && info.IsDir() {
			return nil, closeLogs, fmt.Errorf("%s is a directory: name the logs in it", name)
		}
		if err == nil {
			m.size += info.Size()
		}
		logs = append(logs, accesslog.Log{Name: name, Reader: m.count(f)})
	}
	return logs, closeLogs, nil
}

// terminal is out where that is one, and nil where it is not.
func terminal(out io.Writer) io.Writer {
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return out
}

// meter shows how far a rehearsal is.
type meter struct {
	out     io.Writer // nil shows nothing
	began   time.Time
	shown   time.Time
	size    int64 // of all logs
	unknown bool  // one of them has no size
	read    atomic.Int64
}

func (m *meter) count(r io.Reader) io.Reader { return &countedReader{r, &m.read} }

type countedReader struct {
	io.Reader
	n *atomic.Int64
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

func (m *meter) seen(lines int64) {
	if m.out == nil || time.Since(m.shown) < 200*time.Millisecond {
		return
	}
	m.shown = time.Now()
	fmt.Fprint(m.out, "\r\x1b[K"+m.line(lines, time.Since(m.began)))
}

// line says how far it is after some time, and when it will be done.
func (m *meter) line(lines int64, after time.Duration) string {
	text := fmt.Sprintf("%d lines, %.0f a second", lines, float64(lines)/after.Seconds())
	read := m.read.Load()
	if m.size == 0 || m.unknown || read == 0 {
		return text
	}
	left := time.Duration(float64(after) * float64(m.size-read) / float64(read)).Round(time.Second)
	return fmt.Sprintf("%3d%%  %s, %s left", 100*read/m.size, text, max(left, 0))
}

func (m *meter) clear() {
	if m.out != nil {
		fmt.Fprint(m.out, "\r\x1b[K")
	}
}
