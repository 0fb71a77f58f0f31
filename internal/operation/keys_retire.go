package operation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
)

// useLag is by how much a store may know less than what nodes do: each notes
// every few minutes which key it writes with.
const useLag = time.Hour

// viewKeys is the ring with what still needs each older key.
func (p Place) viewKeys(ctx context.Context, now time.Time) ([]KeyView, error) {
	views := ViewKeys(p.Keys.List())
	if !slices.ContainsFunc(views, func(v KeyView) bool { return v.State == KeyOlder }) {
		return views, nil
	}
	kept, err := p.Store.KeyNeeds(ctx)
	if err != nil {
		return nil, err
	}
	known, err := p.Store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	trail, err := p.trailNeeds(ctx)
	if err != nil {
		return nil, err
	}
	for i := range views {
		v := &views[i]
		if v.State != KeyOlder {
			continue
		}
		v.NeededFor = countNeeds(kept, v.ID)
		if need, ok := trail[v.ID]; ok {
			v.NeededFor = append(v.NeededFor, need)
		}
		if until := p.lastUse(known, v.ID).Add(p.Keys.Browsers() + useLag); until.After(now) {
			v.NeededFor = append(v.NeededFor, KeyNeed{What: keys.NeedBrowsers, Until: until})
		}
	}
	return views, nil
}

// countNeeds adds up what needs a key, what does not say which among it.
func countNeeds(kept []keys.Need, id string) (needs []KeyNeed) {
	for _, what := range []string{keys.NeedRows, keys.NeedAnswers, keys.NeedBackupCodes} {
		need := KeyNeed{What: what}
		for _, n := range kept {
			if n.What == what && (n.Key == id || n.Key == "") {
				need.Count += n.Count
			}
		}
		if need.Count > 0 {
			needs = append(needs, need)
		}
	}
	return needs
}

// lastUse is when a key was last primary; the present where the store does not
// know it.
func (p Place) lastUse(known []keys.Known, id string) time.Time {
	for _, k := range known {
		if k.ID() == id {
			return k.UsedAt
		}
	}
	return time.Now()
}

// trailNeeds tells which older keys made records that are still there, and up
// to when those would have to be pruned. Nodes take over a new key one after the
// other, so the records around a rotation may be of either; retireKeys does not
// trust this.
func (p Place) trailNeeds(ctx context.Context) (map[string]KeyNeed, error) {
	rows, err := p.Store.EventRows(ctx, 0, 1)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	end, err := p.Store.Events(ctx, audit.Query{Limit: 1})
	if err != nil || len(end) == 0 {
		return nil, err
	}
	chain, list := audit.NewChain(p.Ring), p.Keys.List()
	// age is the place of the key of the record behind one, in the ring.
	age := func(seq int64) (int, time.Time, error) {
		pair, err := p.Store.EventRows(ctx, seq-1, 2)
		if err != nil || len(pair) < 2 {
			return 0, time.Time{}, err
		}
		id := chain.KeyOf(audit.Link{Seq: pair[0].Seq, Hash: pair[0].Hash}, pair[1])
		return slices.IndexFunc(list, func(k keys.Info) bool { return k.ID == id }), pair[1].At, nil
	}
	needs := map[string]KeyNeed{}
	first, last := rows[0].Seq, end[0].Seq
	oldest, _, err := age(first)
	if err != nil {
		return nil, err
	}
	for i := max(0, oldest); i < len(list) && !list[i].Primary; i++ {
		need := KeyNeed{What: keys.NeedTrail}
		var broken error
		at := first + int64(sort.Search(int(last-first), func(n int) bool {
			of, when, err := age(first + int64(n))
			if broken = errors.Join(broken, err); of > i {
				need.Until = when
			}
			return of > i
		}))
		if broken != nil {
			return nil, broken
		}
		if at > first || i == oldest {
			needs[list[i].ID] = need
		}
	}
	return needs, nil
}

// retireKeys takes out what nothing needs. What it is told to take out, and
// something needs, it refuses.
func (p Place) retireKeys(ctx context.Context, in KeysRetireInput, now time.Time) error {
	if err := p.dropRetired(ctx); err != nil {
		return err
	}
	if err := p.Store.Reseal(ctx); err != nil {
		return fmt.Errorf("seal again what lasts: %w", err)
	}
	views, err := p.viewKeys(ctx, now)
	if err != nil {
		return err
	}
	if in.ID != "" && !slices.ContainsFunc(views, func(v KeyView) bool { return v.ID == in.ID && v.State == KeyOlder }) {
		return &Answer{Kind: No, Text: fmt.Sprintf("%q is no older key; `stepgate keys list` shows them", in.ID)}
	}
	var ids []string
	var reasons []string
	for _, v := range views {
		switch {
		case v.State != KeyOlder || in.ID != "" && v.ID != in.ID:
		case len(v.NeededFor) > 0:
			reasons = append(reasons, fmt.Sprintf("key %s is needed for %s", v.ID, NeedsText(v.NeededFor)))
		default:
			ids = append(ids, v.ID)
		}
	}
	switch {
	case len(ids) == 0 && len(reasons) == 0:
		return nil
	case len(ids) == 0:
		return &Answer{Kind: No, Text: strings.Join(reasons, "; ")}
	}
	if err := p.holdsWithout(ctx, ids); err != nil {
		return err
	}
	err = p.Keys.Retire(ctx, ids, now.Add(-p.Keys.Browsers()-useLag), now, keyEvent(now, audit.KeyRetired, ids, in.Reason))
	if errors.Is(err, keys.ErrInUse) {
		return &Answer{Kind: No, Text: "another node has used the key since; try again"}
	}
	return err
}

// dropRetired does what a retirement that was interrupted has left to do.
func (p Place) dropRetired(ctx context.Context) error {
	known, err := p.Store.Keys(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, k := range p.Keys.List() {
		if slices.ContainsFunc(known, func(of keys.Known) bool { return of.ID() == k.ID && !of.RetiredAt.IsZero() }) {
			ids = append(ids, k.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return p.Keys.Drop(ctx, ids)
}

// holdsWithout verifies the whole trail as it would be verified without keys.
func (p Place) holdsWithout(ctx context.Context, ids []string) error {
	ring, err := p.Ring.Without(ids)
	if err != nil {
		return err
	}
	p.Ring = ring
	result, _, err := p.verifyTrail(ctx, AuditVerifyInput{})
	if err != nil {
		return err
	}
	if !result.Holds {
		return &Answer{Kind: No, Text: fmt.Sprintf("without the key the audit trail would not hold: %s; prune it up to there first (`stepgate audit prune`)", result.Text)}
	}
	return nil
}

// NeedsText is what a key is needed for, in words.
func NeedsText(needs []KeyNeed) string {
	words := make([]string, len(needs))
	for i, n := range needs {
		words[i] = n.What
		if n.Count > 0 {
			words[i] = fmt.Sprintf("%d %s", n.Count, n.What)
		}
		switch {
		case n.Until.IsZero():
		case n.What == keys.NeedTrail:
			whole := n.Until.UTC().Add(time.Second - 1).Truncate(time.Second) // so that pruning before it leaves nothing of the key
			words[i] += " before " + whole.Format(time.RFC3339)
		default:
			words[i] += " until " + n.Until.UTC().Format(time.DateOnly)
		}
	}
	return strings.Join(words, ", ")
}
