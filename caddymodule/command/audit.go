package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/author"
)

// buildAudit draws
//
//	audit list [--account U] [--organisation O] [--event NAME]… [--since TIME] [--until TIME] [--limit N]
//	audit show REFERENCE
//	audit export [--output FILE] [--checkpoint FILE]…
//	audit verify [--checkpoint FILE]…
//	audit prune --before DATE [--checkpoint FILE]… [--undelivered] [--reason TEXT]
func buildAudit(cmd *cobra.Command) {
	cmd.Long = "The audit trail: what happened, to whom, by whom. Every refusing page shows a reference\n" +
		"that `show` takes. Keep an export, or its last line, away from the store: `verify` then\n" +
		"proves that nothing up to it was altered or removed."
	configFlags(cmd)
	group(cmd)
	list := leaf("list", "Lists events, the newest first", cobra.NoArgs, listEvents)
	flags := list.Flags()
	flags.String("account", "", "only events about this account or done by it: a `username` or an ID")
	sourceFlag(list)
	flags.String("organisation", "", "only events of this `organisation`")
	flags.StringSlice("event", nil, "only events of this `name`; repeat for several")
	flags.String("since", "", "only from this moment on: a `time`, a date, or how long ago, such as 24h")
	flags.String("until", "", "only before this moment: a `time`, a date, or how long ago")
	flags.Int("limit", 50, "how many events at most")
	show := leaf("show REFERENCE", "Tells what a refusal was about: which rule, which reading, what was missing", cobra.ExactArgs(1), showEvent)
	export := leaf("export", "Writes the whole trail as JSON lines, and a checkpoint as the last", cobra.NoArgs, exportEvents)
	export.Flags().StringP("output", "o", "", "write to this `file` instead of stdout, and the checkpoint to stdout too")
	verify := leaf("verify", "Proves that nothing in the trail was altered or removed", cobra.NoArgs, verifyEvents)
	for _, c := range []*cobra.Command{export, verify} {
		c.Flags().StringArray("checkpoint", nil, "an earlier export, or a `file` with its checkpoint; repeat for several")
	}
	prune := leaf("prune", "Deletes old records, and keeps the trail provable", cobra.NoArgs, pruneEvents)
	prune.Flags().String("before", "", "delete what is older than this `date` or time, or than a span such as 365d")
	prune.Flags().StringArray("checkpoint", nil, "an earlier export, or a `file` with its checkpoint; repeat for several")
	prune.Flags().Bool("undelivered", false, "delete also what a receiver of the trail has not got yet")
	reasonFlag(prune)
	prune.Long = "Verifies the trail up to there, writes a signed bridge into it, and then deletes the records\n" +
		"before the bridge. `verify` starts from the newest bridge. Export first what has to be kept."
	cmd.AddCommand(list, show, export, verify, prune)
}

func listEvents(c *cobra.Command, _ []string) error {
	in, err := auditQueryOf(c)
	if err != nil {
		return err
	}
	return atDesk(c, func(d *desk) error {
		p := newPrinter(c)
		rows := [][]string{{"TIME", "EVENT", "OUTCOME", "WHO", "ADDRESS", "WHY", "REFERENCE"}}
		for left := in.Limit; left > 0; {
			in.Limit = min(left, operation.EventPage)
			page, err := ask(c.Context(), d, operation.AuditList, in)
			if err != nil {
				return err
			}
			for _, line := range page.Lines {
				e, err := eventOf(line)
				if err != nil {
					return err
				}
				in.Before = e.Seq
				if p.json {
					fmt.Fprintf(p.out, "%s\n", line)
					continue
				}
				rows = append(rows, eventRow(e, page.Names))
			}
			if left -= len(page.Lines); len(page.Lines) < in.Limit {
				break
			}
		}
		if p.json {
			return nil
		}
		return p.table(rows)
	})
}

func auditQueryOf(c *cobra.Command) (operation.AuditQuery, error) {
	q := operation.AuditQuery{Who: who(c, flagText(c, "account")), Organisation: flagText(c, "organisation")}
	names, _ := c.Flags().GetStringSlice("event")
	for _, text := range names {
		name := audit.Name(text)
		if !name.Known() {
			var known []string
			for _, k := range audit.Kinds() {
				known = append(known, string(k.Name))
			}
			return q, usagef("--event %s: no such event%s", text, block.DidYouMean(text, known))
		}
		q.Events = append(q.Events, name)
	}
	var err error
	if q.Since, err = momentOf(c, "since"); err != nil {
		return q, err
	}
	if q.Until, err = momentOf(c, "until"); err != nil {
		return q, err
	}
	if q.Limit, _ = c.Flags().GetInt("limit"); q.Limit < 1 {
		return q, usagef("--limit %d: expected a number above zero", q.Limit)
	}
	return q, nil
}

// momentOf reads a time, a date, or a span that counts back from now.
func momentOf(c *cobra.Command, flag string) (time.Time, error) {
	text := flagText(c, flag)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	if span, err := policy.ParseDuration(text); err == nil {
		return time.Now().Add(-time.Duration(span)).UTC(), nil
	}
	return time.Time{}, usagef("--%s %s: expected a time such as 2026-03-02T09:00:00Z, a date, or how long ago, such as 24h", flag, text)
}

func eventOf(line []byte) (audit.Record, error) {
	row, err := audit.ParseLine(line)
	if err != nil {
		return audit.Record{}, err
	}
	return row.Record()
}

func eventRow(e audit.Record, names map[string]string) []string {
	why := e.Reason
	if e.Rule != "" {
		why += " " + e.Rule
	}
	return []string{
		e.At.Format(time.RFC3339), string(e.Name), orDash(e.Outcome), orDash(named(e.Account, names)), orDash(e.Address), orDash(why), orDash(e.Reference),
	}
}

// named is the username of an account where it still has one.
func named(id string, names map[string]string) string {
	if name := names[id]; name != "" {
		return name
	}
	return id
}

func showEvent(c *cobra.Command, args []string) error {
	return atDesk(c, func(d *desk) error {
		found, err := ask(c.Context(), d, operation.AuditShow, args[0])
		if err != nil {
			return err
		}
		p := newPrinter(c)
		if p.json {
			_, err := fmt.Fprintf(p.out, "%s\n", found.Lines[0])
			return err
		}
		e, err := eventOf(found.Lines[0])
		if err != nil {
			return err
		}
		if err := p.table(eventSheet(e, found.Names)); err != nil {
			return err
		}
		return printExplanation(p.out, e)
	})
}

// eventSheet is an event as rows of a name and a value.
func eventSheet(e audit.Record, names map[string]string) [][]string {
	rows := [][]string{
		{"Reference", e.Reference}, {"Event", string(e.Name)}, {"Time", e.At.Format(time.RFC3339Nano)}, {"Outcome", e.Outcome}, {"Reason", e.Reason},
		{"Account", named(e.Account, names)}, {"Actor", named(e.Actor, names)}, {"Organisation", e.Organisation}, {"Site", e.Site},
		{"Factor", e.Factor}, {"Levels", strings.Join(e.Levels, " ")}, {"Rule", e.Rule}, {"Address", e.Address}, {"Browser", e.UserAgent},
	}
	for _, f := range e.Detail {
		rows = append(rows, []string{f.Key, f.Value})
	}
	rows = append(rows, []string{"Record", fmt.Sprint(e.Seq)})
	var sheet [][]string
	for _, row := range rows {
		if row[1] != "" {
			sheet = append(sheet, row)
		}
	}
	return sheet
}

func printExplanation(out io.Writer, e audit.Record) error {
	if len(e.Explanation) == 0 {
		return nil
	}
	var x policy.Explanation
	if err := json.Unmarshal(e.Explanation, &x); err != nil {
		return fmt.Errorf("read the explanation of record %d: %w", e.Seq, err)
	}
	fmt.Fprintln(out, "\nWhat the policy said")
	return author.RenderExplanation(out, x)
}

// checkpointLine is the last line of an export.
type checkpointLine struct {
	App        string `json:"appid"`
	Checkpoint string `json:"checkpoint"`
}

func exportEvents(c *cobra.Command, _ []string) error {
	known, err := checkpointsOf(c)
	if err != nil {
		return err
	}
	return atDesk(c, func(d *desk) (err error) {
		out, finish, err := exportTo(c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, finish()) }()
		in := operation.AuditExportInput{First: true}
		for {
			page, err := ask(c.Context(), d, operation.AuditExport, in)
			if err != nil {
				return err
			}
			for _, line := range page.Lines {
				if _, err := fmt.Fprintf(out, "%s\n", line); err != nil {
					return err
				}
			}
			if len(page.Lines) == 0 {
				break
			}
			in = operation.AuditExportInput{After: page.After}
		}
		made, err := ask(c.Context(), d, operation.AuditCheckpoint, operation.AuditVerifyInput{Until: in.After, Checkpoints: known})
		if err != nil {
			return err
		}
		if err := made.Err(); err != nil {
			return fmt.Errorf("no checkpoint was made: %w", err)
		}
		last := checkpointLine{"stepgate", made.Checkpoint}
		if out != c.OutOrStdout() {
			if err := (printer{out: c.OutOrStdout()}).object(last); err != nil {
				return err
			}
		}
		return printer{out: out}.object(last)
	})
}

// exportTo opens where an export goes. A file is made for its owner alone,
// and is whole when finish has returned.
func exportTo(c *cobra.Command) (out io.Writer, finish func() error, err error) {
	name := flagText(c, "output")
	if name == "" {
		return c.OutOrStdout(), func() error { return nil }, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, nil, fmt.Errorf("%s exists already: an export overwrites nothing", name)
	}
	if err != nil {
		return nil, nil, err
	}
	return f, func() error { return errors.Join(f.Sync(), f.Close()) }, nil
}

// checkpointsOf reads the checkpoints of the files that the flags name: of
// exports, and of files that have the text alone.
func checkpointsOf(c *cobra.Command) ([]string, error) {
	files, _ := c.Flags().GetStringArray("checkpoint")
	var all []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		before := len(all)
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			var last checkpointLine
			switch {
			case strings.HasPrefix(line, "stepgate-audit-checkpoint-"):
				all = append(all, line)
			case strings.HasPrefix(line, "{") && strings.Contains(line, `"checkpoint"`) && json.Unmarshal([]byte(line), &last) == nil && last.Checkpoint != "":
				all = append(all, last.Checkpoint)
			}
		}
		if len(all) == before {
			return nil, fmt.Errorf("%s: there is no checkpoint in it; the last line of `audit export` is one", file)
		}
	}
	return all, nil
}

func pruneEvents(c *cobra.Command, _ []string) error {
	before, err := momentOf(c, "before")
	if err != nil {
		return err
	}
	if before.IsZero() {
		return usagef("say what may go with --before DATE")
	}
	known, err := checkpointsOf(c)
	if err != nil {
		return err
	}
	undelivered, err := c.Flags().GetBool("undelivered")
	if err != nil {
		return err
	}
	return atDesk(c, func(d *desk) error {
		gone, err := ask(c.Context(), d, operation.AuditPrune, operation.AuditPruneInput{
			Before: before, Checkpoints: known, Reason: flagText(c, "reason"), Undelivered: undelivered,
		})
		if err != nil {
			return err
		}
		p := newPrinter(c)
		if p.json {
			return p.object(gone)
		}
		if gone.Deleted == 0 {
			return p.print(gone, "there is nothing older than %s", before.Format(time.RFC3339))
		}
		if err := p.print(gone, "deleted %s, up to record %d", number(gone.Deleted, "record"), gone.UpTo); err != nil {
			return err
		}
		return p.print(gone, "the trail goes on from this bridge: %s", gone.Bridge)
	})
}

func verifyEvents(c *cobra.Command, _ []string) error {
	known, err := checkpointsOf(c)
	if err != nil {
		return err
	}
	return atDesk(c, func(d *desk) error {
		result, err := ask(c.Context(), d, operation.AuditVerify, operation.AuditVerifyInput{Checkpoints: known})
		if err != nil {
			return err
		}
		p := newPrinter(c)
		switch {
		case p.json:
			if err := p.object(result); err != nil {
				return err
			}
		case result.Fault == "":
			fmt.Fprintf(p.out, "the trail holds: %s, up to record %d\n", number(result.Records, "record"), result.End)
			if result.Covered > 0 {
				fmt.Fprintf(p.out, "nothing up to record %d was removed: a checkpoint saw it\n", result.Covered)
			} else {
				fmt.Fprintln(p.out, "without --checkpoint, records cut off at the end do not show")
			}
		}
		return result.Err()
	})
}
