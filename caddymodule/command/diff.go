package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/policy/author"
)

func policyDiffCommand() *cobra.Command {
	c := leaf("diff OLD NEW", "Tells what becomes weaker or stronger between two configuration files", cobra.ExactArgs(2), diffPolicies)
	c.Flags().StringArray("log", nil, "count the requests of this access `log` that change; repeat for several")
	c.Flags().String("fail-on", "", "exit 1 on a `change`: weaker (what may let somebody through who was not let through), or any")
	formatFlag(c)
	htmlFlag(c)
	reportOnlyFlag(c)
	c.Long = "Compares two configurations on every path, by every method, in every circumstance that their\n" +
		"conditions tell apart, and the options around the policies. Each change comes with a request\n" +
		"that shows it. What depends on conditions of which only the text is known, such as `expression`\n" +
		"and `header`, is told as undecided, and counts as weaker for --fail-on."
	return c
}

func reportOnlyFlag(c *cobra.Command) {
	c.Flags().Bool("report-only", false, "judge by the policy that is watched and not enforced, where there is one")
}

// htmlFlag is that of commands that can write what they found as a page.
func htmlFlag(c *cobra.Command) {
	c.Flags().String("html", "", "write it as one page into this `file` as well, to be shown around and printed")
}

// writePage writes the page that was asked for, if one was.
func writePage(c *cobra.Command, render func(io.Writer) error) error {
	name := flagText(c, "html")
	if name == "" {
		return nil
	}
	var page bytes.Buffer
	if err := render(&page); err != nil {
		return err
	}
	return os.WriteFile(name, page.Bytes(), 0o644)
}

// sitesOf are the gates of a drawing, by the policy that the flags choose.
func sitesOf(c *cobra.Command, d Drawing) []*author.Site {
	sites := d.Sites()
	if watched, _ := c.Flags().GetBool("report-only"); watched {
		for i, site := range d.ReportOnly() {
			if site != nil {
				site.Settings, site.Folder = sites[i].Settings, sites[i].Folder
				sites[i] = site
			}
		}
	}
	return sites
}

// siteChange is a change as it is printed.
type siteChange struct {
	Site string `json:"site"`
	author.Change
}

// siteSetting is a change of an option as it is printed.
type siteSetting struct {
	Site string `json:"site"`
	author.SettingChange
}

// siteShift is a change of the requests of a log as it is printed.
type siteShift struct {
	Log bool `json:"log"`
	author.Shift
}

// verdictOf is the last line: what all of it comes to.
type verdictOf struct {
	NeverWeaker bool `json:"never_weaker"`
	// Complete is false where something could not be gone through.
	Complete bool `json:"complete"`
}

// diffing is one comparison, as it is printed.
type diffing struct {
	p        printer
	weaker   int
	changes  int
	complete bool
	sites    []author.SiteDifference
}

func diffPolicies(c *cobra.Command, args []string) error {
	failOn := flagText(c, "fail-on")
	if failOn != "" && failOn != "weaker" && failOn != "any" {
		return usagef("--fail-on %s: expected weaker or any", failOn)
	}
	drawn, err := drawAll(flagText(c, "adapter"), args...)
	if err != nil {
		return err
	}
	was, is := drawn[0], drawn[1]
	d := &diffing{p: newPrinter(c), complete: true}
	pairs := author.Pair(sitesOf(c, was), sitesOf(c, is))
	for _, pair := range pairs {
		if err := d.site(pair, len(pairs) > 1); err != nil {
			return err
		}
	}
	if err := d.sum(); err != nil {
		return err
	}
	var counted *author.Report
	if logs, _ := c.Flags().GetStringArray("log"); len(logs) > 0 {
		if counted, err = diffLogs(c, d.p, was, pairs, logs); err != nil && counted == nil {
			return err
		}
	}
	if err := errors.Join(err, d.page(c, args, counted)); err != nil {
		return err
	}
	switch {
	case failOn == "weaker" && (d.weaker > 0 || !d.complete):
		return fmt.Errorf("the new configuration is not proved to be never weaker: %s", d.verdict())
	case failOn == "any" && (d.changes > 0 || !d.complete):
		return fmt.Errorf("the configurations differ in %d places", d.changes)
	default:
		return nil
	}
}

// site prints how one site changes.
func (d *diffing) site(pair author.SitePair, several bool) error {
	origin := pair.Origin()
	if several && !d.p.json {
		fmt.Fprintln(d.p.out, origin)
	}
	if gone, ok := pair.Gate(); ok {
		d.sites = append(d.sites, author.SiteDifference{Origin: origin, Difference: author.Difference{Complete: true}, Settings: []author.SettingChange{gone}})
		return d.change(gone.Direction, siteSetting{origin, gone}, gone.Render)
	}
	difference, err := author.Diff(pair.Was, pair.Is, time.Now())
	if err != nil {
		return err
	}
	d.complete = d.complete && difference.Complete
	for _, change := range difference.Changes {
		if err := d.change(change.Direction, siteChange{origin, change}, change.Render); err != nil {
			return err
		}
	}
	settings := author.DiffSettings(pair.Was, pair.Is)
	d.sites = append(d.sites, author.SiteDifference{Origin: origin, Difference: difference, Settings: settings, Was: pair.Was, Is: pair.Is})
	for _, change := range settings {
		if err := d.change(change.Direction, siteSetting{origin, change}, change.Render); err != nil {
			return err
		}
	}
	if len(difference.Changes) == 0 && difference.Complete && !d.p.json {
		_, err = fmt.Fprintln(d.p.out, "no path needs anything else")
	}
	return err
}

// change counts a change of a path or of a setting, and tells it: as an object,
// or in words.
func (d *diffing) change(to author.Direction, object any, render func(io.Writer) error) error {
	d.changes++
	if to.MayWeaken() {
		d.weaker++
	}
	if d.p.json {
		return d.p.object(object)
	}
	return render(d.p.out)
}

func (d *diffing) sum() error {
	if d.p.json {
		return d.p.object(verdictOf{d.weaker == 0 && d.complete, d.complete})
	}
	_, err := fmt.Fprintln(d.p.out, d.verdict())
	return err
}

// page writes the comparison as a page.
func (d *diffing) page(c *cobra.Command, args []string, counted *author.Report) error {
	var shifts []author.Shift
	if counted != nil {
		shifts = counted.Changes
	}
	return writePage(c, author.Comparison{
		Title: args[0] + " and " + args[1] + " compared", Verdict: d.verdict(), NeverWeaker: d.weaker == 0 && d.complete,
		Sites: d.sites, Shifts: shifts, Now: time.Now(),
	}.RenderHTML)
}

// verdict says what all of it comes to.
func (d *diffing) verdict() string {
	text := "never weaker: whatever was needed is needed still"
	switch {
	case d.weaker == 1:
		text = "1 change may let somebody through who was not let through"
	case d.weaker > 1:
		text = fmt.Sprintf("%d changes may let somebody through who was not let through", d.weaker)
	case !d.complete:
		text = "nothing weaker was found, but not everything could be gone through: too many conditions, globs or paths together"
	}
	return text
}

func diffLogs(c *cobra.Command, p printer, was Drawing, pairs []author.SitePair, logs []string) (*author.Report, error) {
	r := &author.Rehearsal{}
	for _, pair := range pairs {
		if _, gone := pair.Gate(); !gone {
			r.Sites, r.Compare = append(r.Sites, pair.Was), append(r.Compare, pair.Is)
		}
	}
	if len(r.Sites) == 0 {
		return nil, nil
	}
	report, err := rehearse(c, r, was, logs)
	if report == nil {
		return nil, err
	}
	if nothing := nothingRead(report); nothing != nil {
		return report, errors.Join(err, nothing)
	}
	if printed := printShifts(p, report); printed != nil {
		return nil, printed
	}
	return report, err
}

// printShifts prints what changes for the requests of logs, also of those that
// broke off.
func printShifts(p printer, report *author.Report) error {
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
