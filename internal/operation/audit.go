package operation

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
)

// EventPage is how many events one operation returns at most.
const EventPage = 200

// What the audit commands ask with, and get.
type (
	AuditQuery struct {
		Who          people.Who   `json:"who"`
		Organisation string       `json:"organisation,omitempty"`
		Events       []audit.Name `json:"events,omitempty"`
		Since        time.Time    `json:"since,omitzero"`
		Until        time.Time    `json:"until,omitzero"`
		Before       int64        `json:"before,omitempty"`
		Limit        int          `json:"limit"`
	}
	// AuditLines are records as audit.Record.Line has them, byte for byte.
	AuditLines struct {
		Lines [][]byte `json:"lines"`
		// Names are the usernames of the accounts in them.
		Names map[string]string `json:"names,omitempty"`
		// After is the number of the last.
		After int64 `json:"after,omitempty"`
	}
	AuditExportInput struct {
		After int64 `json:"after"`
		// First is set for the first page: the export itself is recorded.
		First bool `json:"first,omitempty"`
	}
	AuditVerifyInput struct {
		// Until is the last record to look at; 0 for all.
		Until       int64    `json:"until,omitempty"`
		Checkpoints []string `json:"checkpoints,omitempty"`
	}
	// AuditResult is what a verification found, as it is printed.
	AuditResult struct {
		Holds   bool  `json:"holds"`
		Records int64 `json:"records"`
		End     int64 `json:"end"`
		// Covered is the highest record that a checkpoint vouches for.
		Covered int64 `json:"covered"`
		// Fault, Seq and Text say where it does not hold.
		Fault audit.Fault `json:"fault,omitempty"`
		Seq   int64       `json:"seq,omitempty"`
		Text  string      `json:"text,omitempty"`
		// Checkpoint is a new one of the end, where that was asked for.
		Checkpoint string `json:"checkpoint,omitempty"`
	}
	// AuditPruneInput says up to when records may go.
	AuditPruneInput struct {
		Before      time.Time `json:"before"`
		Checkpoints []string  `json:"checkpoints,omitempty"`
		Reason      string    `json:"reason,omitempty"`
		// Undelivered lets go what a receiver of the trail has not got yet.
		Undelivered bool `json:"undelivered,omitempty"`
	}
	// AuditPruneResult is what went, and the bridge to what stays.
	AuditPruneResult struct {
		Deleted int64  `json:"deleted"`
		UpTo    int64  `json:"up_to,omitempty"`
		Bridge  string `json:"bridge,omitempty"`
	}
)

// Err is nil where the trail holds.
func (r AuditResult) Err() error {
	if r.Holds {
		return nil
	}
	return fmt.Errorf("the audit trail does not hold (%s): %s", r.Fault, r.Text)
}

// The verbs of the audit trail. Lists and exports come in pages of EventPage.
var (
	AuditList = define("audit/list", func(ctx context.Context, p Place, in AuditQuery) (AuditLines, error) {
		if err := p.People.Permit(ctx, p.Actor, people.ActAudit); err != nil {
			return AuditLines{}, err
		}
		q := audit.Query{
			Organisation: in.Organisation, Names: in.Events, Since: in.Since, Until: in.Until, Before: in.Before, Limit: min(in.Limit, EventPage),
		}
		var err error
		if q.Account, err = p.auditedAccount(ctx, in.Who); err != nil {
			return AuditLines{}, err
		}
		records, err := p.Store.Events(ctx, q)
		if err != nil {
			return AuditLines{}, fmt.Errorf("list events: %w", err)
		}
		return p.auditLines(ctx, records)
	})
	AuditShow = define("audit/show", func(ctx context.Context, p Place, reference string) (AuditLines, error) {
		if err := p.People.Permit(ctx, p.Actor, people.ActAudit); err != nil {
			return AuditLines{}, err
		}
		record, err := p.Store.EventByReference(ctx, audit.FoldReference(reference))
		if errors.Is(err, audit.ErrNotFound) {
			return AuditLines{}, &Answer{Kind: No, Text: fmt.Sprintf("no event has the reference %q; one of a page that told of a fault of the gateway is in its log", reference)}
		}
		if err != nil {
			return AuditLines{}, fmt.Errorf("read event: %w", err)
		}
		return p.auditLines(ctx, []audit.Record{record})
	})
	AuditExport = define("audit/export", func(ctx context.Context, p Place, in AuditExportInput) (AuditLines, error) {
		if err := p.People.Permit(ctx, p.Actor, people.ActAudit); err != nil {
			return AuditLines{}, err
		}
		if in.First {
			exported := audit.Event{Name: audit.AuditExported, Actor: commandActor, Outcome: "success"}
			if err := p.Recorder.Record(ctx, exported); err != nil {
				return AuditLines{}, err
			}
		}
		rows, err := p.Store.EventRows(ctx, in.After, EventPage)
		if err != nil {
			return AuditLines{}, fmt.Errorf("read audit trail: %w", err)
		}
		page := AuditLines{After: in.After}
		for _, row := range rows {
			record, err := row.Record()
			if err != nil {
				return AuditLines{}, &Answer{Kind: No, Text: err.Error() + ": `audit verify` says more"}
			}
			page.Lines, page.After = append(page.Lines, record.Line()), row.Seq
		}
		return page, nil
	})
	AuditVerify = define("audit/verify", func(ctx context.Context, p Place, in AuditVerifyInput) (AuditResult, error) {
		if err := p.People.Permit(ctx, p.Actor, people.ActAudit); err != nil {
			return AuditResult{}, err
		}
		result, _, err := p.verifyTrail(ctx, in)
		return result, err
	})
	AuditCheckpoint = define("audit/checkpoint", func(ctx context.Context, p Place, in AuditVerifyInput) (AuditResult, error) {
		if err := p.People.Permit(ctx, p.Actor, people.ActAudit); err != nil {
			return AuditResult{}, err
		}
		result, end, err := p.verifyTrail(ctx, in)
		if err != nil || !result.Holds {
			return result, err
		}
		point, err := audit.NewChain(p.Ring).Checkpoint(end, time.Now())
		if err != nil {
			return result, fmt.Errorf("make a checkpoint: %w", err)
		}
		result.Checkpoint = point.String()
		return result, nil
	})
	// AuditPrune deletes the oldest records. The trail is verified up to there
	// first, and says in itself where it will begin; so it stays provable, and
	// a pruning that was interrupted can be done again.
	AuditPrune = define("audit/prune", func(ctx context.Context, p Place, in AuditPruneInput) (AuditPruneResult, error) {
		if !p.Actor.IsOperator() {
			return AuditPruneResult{}, &Answer{Kind: No, Text: "only an operator may delete records of the audit trail"}
		}
		upTo, err := p.lastBefore(ctx, in.Before)
		if err != nil || upTo == 0 {
			return AuditPruneResult{}, err
		}
		result, end, err := p.verifyTrail(ctx, AuditVerifyInput{Until: upTo, Checkpoints: in.Checkpoints})
		if err == nil {
			err = result.Err()
		}
		if err != nil {
			return AuditPruneResult{}, fmt.Errorf("nothing was deleted: %w", err)
		}
		if end.Seq < upTo {
			upTo = end.Seq
		}
		if err := p.delivered(ctx, upTo, in.Undelivered); err != nil {
			return AuditPruneResult{}, err
		}
		bridge, err := audit.NewChain(p.Ring).Checkpoint(end, time.Now())
		if err != nil {
			return AuditPruneResult{}, fmt.Errorf("make a bridge: %w", err)
		}
		pruned := audit.Pruned(bridge, in.Reason)
		pruned.Actor = commandActor
		if err := p.Recorder.Record(ctx, pruned); err != nil {
			return AuditPruneResult{}, err
		}
		deleted, err := p.Store.PruneEvents(ctx, upTo)
		return AuditPruneResult{Deleted: deleted, UpTo: upTo, Bridge: bridge.String()}, err
	})
)

// receiverKept is how long a receiver counts that no gateway sends to any more:
// it may be stopped, and not gone.
const receiverKept = 30 * 24 * time.Hour

// delivered refuses what a receiver would then never get.
func (p Place) delivered(ctx context.Context, upTo int64, undelivered bool) error {
	if undelivered {
		return nil
	}
	behind, err := p.Store.ReceiversBehind(ctx, upTo, time.Now().Add(-receiverKept))
	if err != nil || len(behind) == 0 {
		return err
	}
	return &Answer{Kind: No, Text: fmt.Sprintf(
		"nothing was deleted: %s has got the trail up to record %d only, and the records up to %d would go. Wait until it is there again, or say --undelivered",
		behind[0].Name, behind[0].Seq, upTo)}
}

// lastBefore is the number of the last record that is older than a moment, and
// behind which none is; 0 for none. The newest always stays.
func (p Place) lastBefore(ctx context.Context, before time.Time) (int64, error) {
	old, err := p.Store.Events(ctx, audit.Query{Until: before, Limit: 1})
	if err != nil || len(old) == 0 {
		return 0, err
	}
	newest, err := p.Store.Events(ctx, audit.Query{Limit: 1})
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	return min(old[0].Seq, newest[0].Seq-1), nil
}

// commandActor is who does what commands do, in events.
const commandActor = "command"

// auditedAccount finds the ID of an account. One that is gone can still be
// asked for by its ID.
func (p Place) auditedAccount(ctx context.Context, who people.Who) (string, error) {
	if who.Username == "" {
		return "", nil
	}
	record, err := p.People.Show(ctx, p.Actor, who)
	if err == nil {
		return string(record.Account.ID), nil
	}
	seen, listErr := p.Store.Events(ctx, audit.Query{Account: who.Username, Limit: 1})
	if listErr == nil && len(seen) > 0 {
		return who.Username, nil
	}
	return "", err
}

// auditLines writes records for the way to a command.
func (p Place) auditLines(ctx context.Context, records []audit.Record) (AuditLines, error) {
	lines := AuditLines{Names: map[string]string{"": ""}}
	var ids []account.ID
	for _, record := range records {
		lines.Lines = append(lines.Lines, record.Line())
		for _, id := range []string{record.Account, record.Actor} {
			if _, known := lines.Names[id]; !known {
				lines.Names[id] = ""
				ids = append(ids, account.ID(id))
			}
		}
	}
	delete(lines.Names, "")
	names, err := p.Store.Usernames(ctx, ids)
	if err != nil {
		return AuditLines{}, err
	}
	for id, name := range names {
		lines.Names[string(id)] = name
	}
	return lines, nil
}

// verifyTrail verifies the trail as far as in says. Of the checkpoints one
// may be of the record before the first that is still kept.
func (p Place) verifyTrail(ctx context.Context, in AuditVerifyInput) (AuditResult, audit.Link, error) {
	chain := audit.NewChain(p.Ring)
	var want audit.Expectation
	for _, text := range in.Checkpoints {
		point, err := chain.ParseCheckpoint(text)
		if err != nil {
			return AuditResult{}, audit.Link{}, &Answer{Kind: No, Text: err.Error()}
		}
		want.Checkpoints = append(want.Checkpoints, point)
	}
	first, err := p.Store.EventRows(ctx, 0, 1)
	if err != nil {
		return AuditResult{}, audit.Link{}, fmt.Errorf("read audit trail: %w", err)
	}
	if len(first) > 0 && first[0].Seq > 1 {
		bridge, ok, err := p.bridge(ctx, chain)
		if err != nil {
			return AuditResult{}, audit.Link{}, err
		}
		if ok && bridge.Seq >= first[0].Seq-1 {
			want.From = bridge
		}
	}
	if at := slices.IndexFunc(want.Checkpoints, func(p audit.Checkpoint) bool { return len(first) > 0 && p.Seq == first[0].Seq-1 }); at >= 0 {
		want.From = want.Checkpoints[at]
	}
	result, err := chain.Verify(trail(ctx, p.Store, want.From.Seq, in.Until), want)
	if err != nil {
		return AuditResult{}, audit.Link{}, err
	}
	out := AuditResult{Holds: result.Break == nil, Records: result.Records, End: result.End.Seq, Covered: result.Covered}
	if b := result.Break; b != nil {
		out.Fault, out.Seq, out.Text = b.Fault, b.Seq, b.Text
	}
	return out, result.End, nil
}

// bridge is that of the last pruning.
func (p Place) bridge(ctx context.Context, chain *audit.Chain) (audit.Checkpoint, bool, error) {
	pruned, err := p.Store.Events(ctx, audit.Query{Names: []audit.Name{audit.AuditPruned}, Limit: 1})
	if err != nil {
		return audit.Checkpoint{}, false, fmt.Errorf("read audit trail: %w", err)
	}
	if len(pruned) == 0 {
		return audit.Checkpoint{}, false, nil
	}
	bridge, err := chain.Bridge(pruned[0])
	return bridge, err == nil, nil
}

// trail is the rows behind one number, up to another, or all for 0.
func trail(ctx context.Context, s audit.Store, after, until int64) iter.Seq2[audit.Row, error] {
	return func(yield func(audit.Row, error) bool) {
		for row, err := range audit.Walk(ctx, s, after) {
			if err == nil && until > 0 && row.Seq > until || !yield(row, err) {
				return
			}
		}
	}
}
