package command

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/policy/author"
)

func policyDiffCommand() *cobra.Command {
	c := leaf("diff OLD NEW", "Tells what becomes weaker or stronger between two configuration files", cobra.ExactArgs(2), diffPolicies)
	c.Flags().StringArray("log", nil, "count the requests of this access `log` that change; repeat for several")
	return c
}

// pairOf is one site in its two versions.
type pairOf struct{ was, is *author.Site }

// siteChange is a change as it is printed.
type siteChange struct {
	Site string `json:"site"`
	author.Change
}

// siteShift is a change of the requests of a log as it is printed.
type siteShift struct {
	Log bool `json:"log"`
	author.Shift
}

func diffPolicies(c *cobra.Command, args []string) error {
	adapter := flagText(c, "adapter")
	was, err := draw(args[0], adapter)
	if err != nil {
		return err
	}
	is, err := draw(args[1], adapter)
	if err != nil {
		return err
	}
	p := newPrinter(c)
	pairs := pairSites(c, was.Sites(), is.Sites())
	for _, pair := range pairs {
		changes, err := author.Diff(pair.was, pair.is)
		if err != nil {
			return err
		}
		if err := printChanges(p, pair, changes, len(pairs) > 1); err != nil {
			return err
		}
	}
	logs, _ := c.Flags().GetStringArray("log")
	if len(logs) == 0 || len(pairs) == 0 {
		return nil
	}
	return diffLogs(c, p, was, pairs, logs)
}

// pairSites finds for each site its other version: by the origin, or the only
// one in both files. Sites without one are told of.
func pairSites(c *cobra.Command, was, is []*author.Site) []pairOf {
	if len(was) == 1 && len(is) == 1 {
		return []pairOf{{was[0], is[0]}}
	}
	var pairs []pairOf
	for _, old := range was {
		found := false
		for _, now := range is {
			if now.Origin == old.Origin {
				pairs, found = append(pairs, pairOf{old, now}), true
			}
		}
		if !found {
			c.PrintErrf("Note: the new configuration has no gate at %s\n", old.Origin)
		}
	}
	for _, now := range is {
		if _, err := author.Choose(was, originHost(now.Origin)); err != nil {
			c.PrintErrf("Note: the old configuration has no gate at %s\n", now.Origin)
		}
	}
	return pairs
}

func printChanges(p printer, pair pairOf, changes []author.Change, several bool) error {
	if several && !p.json {
		fmt.Fprintln(p.out, pair.is.Origin)
	}
	for _, change := range changes {
		var err error
		if p.json {
			err = p.object(siteChange{pair.is.Origin, change})
		} else {
			err = change.Render(p.out)
		}
		if err != nil {
			return err
		}
	}
	if len(changes) == 0 && !p.json {
		fmt.Fprintln(p.out, "no path needs anything else")
	}
	return nil
}

func diffLogs(c *cobra.Command, p printer, was Drawing, pairs []pairOf, logs []string) error {
	r := &author.Rehearsal{}
	for _, pair := range pairs {
		r.Sites, r.Compare = append(r.Sites, pair.was), append(r.Compare, pair.is)
	}
	report, err := rehearse(c, r, was, logs)
	if err != nil {
		return err
	}
	if !p.json {
		fmt.Fprintln(p.out)
		return report.Render(p.out)
	}
	for _, shift := range report.Changes {
		if err := p.object(siteShift{true, shift}); err != nil {
			return err
		}
	}
	return nil
}

func policyRehearseCommand() *cobra.Command {
	c := leaf("rehearse LOG…", "Holds access logs against the policy: who would be asked for what", cobra.MinimumNArgs(1),
		func(c *cobra.Command, logs []string) error {
			d, err := drawConfigured(c)
			if err != nil {
				return err
			}
			report, err := rehearse(c, &author.Rehearsal{Sites: d.Sites()}, d, logs)
			if err != nil {
				return err
			}
			if p := newPrinter(c); p.json {
				return p.object(report)
			}
			return report.Render(c.OutOrStdout())
		})
	factFlags(c)
	c.Flags().Int("top", 10, "how many URLs to list of each kind")
	c.Long = "Reads access logs in the common and combined formats and Caddy's JSON, compressed by gzip\n" +
		"or not, `-` for stdin. Name them oldest first: sessions are played in that order. Logs of\n" +
		"any size do; memory does not grow. What a log does not say is that of an ordinary visit,\n" +
		"or of the flags."
	return c
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
	meter := &meter{out: terminal(c.ErrOrStderr()), began: time.Now()}
	logs, closeLogs, err := openLogs(c, meter, files)
	defer closeLogs()
	if err != nil {
		return nil, err
	}
	r.Seen = meter.seen
	report, err := r.Run(c.Context(), logs...)
	meter.clear()
	return report, err
}

func openLogs(c *cobra.Command, m *meter, files []string) (logs []author.Log, closeLogs func(), err error) {
	var opened []*os.File
	closeLogs = func() {
		for _, f := range opened {
			f.Close()
		}
	}
	for _, name := range files {
		if name == "-" {
			logs = append(logs, author.Log{Name: "stdin", Reader: c.InOrStdin()})
			m.unknown = true
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, closeLogs, err
		}
		opened = append(opened, f)
		if info, err := f.Stat(); err == nil {
			m.size += info.Size()
		}
		logs = append(logs, author.Log{Name: name, Reader: m.count(f)})
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
	part := ""
	if m.size > 0 && !m.unknown {
		part = fmt.Sprintf("%3d%%  ", 100*m.read.Load()/m.size)
	}
	fmt.Fprintf(m.out, "\r\x1b[K%s%d lines, %.0f a second", part, lines, float64(lines)/time.Since(m.began).Seconds())
}

func (m *meter) clear() {
	if m.out != nil {
		fmt.Fprint(m.out, "\r\x1b[K")
	}
}

func originHost(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Host
}
