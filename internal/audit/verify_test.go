package audit

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func verify(t *testing.T, c *Chain, rows []Row, want Expectation) Result {
	t.Helper()
	result, err := c.Verify(rowsOf(rows), want)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func checkpoint(t *testing.T, c *Chain, r Row) Checkpoint {
	t.Helper()
	p, err := c.Checkpoint(Link{Seq: r.Seq, Hash: r.Hash}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestVerifyAcceptsAnUntouchedTrail(t *testing.T) {
	m := trail(t, pageRows+7)
	got, err := m.chain.Verify(Walk(t.Context(), m, 0), Expectation{
		Checkpoints: []Checkpoint{checkpoint(t, m.chain, m.rows[99]), checkpoint(t, m.chain, m.rows[9])},
	})
	if err != nil {
		t.Fatal(err)
	}
	last := m.rows[len(m.rows)-1]
	want := Result{Records: pageRows + 7, End: Link{Seq: last.Seq, Hash: last.Hash}, Covered: 100}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestVerifyAcceptsAnEmptyTrail(t *testing.T) {
	if got := verify(t, newChain(t), nil, Expectation{}); got.Break != nil {
		t.Error(got.Break)
	}
}

func TestVerifyNamesTheFirstBreak(t *testing.T) {
	other := trail(t, 5)
	for name, row := range map[string]struct {
		tamper func([]Row) []Row
		fault  Fault
		seq    int64
	}{
		"body": {func(r []Row) []Row {
			r[2].Body = bytes.Replace(r[2].Body, []byte("ACTOR"), []byte("OTHER"), 1)
			return r
		}, FaultAltered, 3},
		"hash":         {func(r []Row) []Row { r[2].Hash = slices.Clone(r[2].Hash); r[2].Hash[0] ^= 1; return r }, FaultAltered, 3},
		"hash cut":     {func(r []Row) []Row { r[2].Hash = r[2].Hash[:16]; return r }, FaultAltered, 3},
		"hash gone":    {func(r []Row) []Row { r[2].Hash = nil; return r }, FaultAltered, 3},
		"at":           {func(r []Row) []Row { r[2].At = r[2].At.Add(time.Second); return r }, FaultColumns, 3},
		"name":         {func(r []Row) []Row { r[2].Name = ConfigLoaded; return r }, FaultColumns, 3},
		"reference":    {func(r []Row) []Row { r[2].Reference = ""; return r }, FaultColumns, 3},
		"account":      {func(r []Row) []Row { r[2].Account = "x"; return r }, FaultColumns, 3},
		"actor":        {func(r []Row) []Row { r[2].Actor = "x"; return r }, FaultColumns, 3},
		"organisation": {func(r []Row) []Row { r[2].Organisation = "x"; return r }, FaultColumns, 3},
		"first gone":   {func(r []Row) []Row { return r[1:] }, FaultMissing, 1},
		"two gone":     {func(r []Row) []Row { return slices.Delete(r, 1, 3) }, FaultMissing, 2},
		"gone, closed up": {func(r []Row) []Row {
			r = slices.Delete(r, 1, 2)
			for i := range r {
				r[i].Seq = int64(i + 1)
			}
			return r
		}, FaultAltered, 2},
		"copied":         {func(r []Row) []Row { return slices.Insert(r, 2, r[1]) }, FaultOrder, 2},
		"swapped":        {func(r []Row) []Row { r[1], r[2] = r[2], r[1]; return r }, FaultMissing, 2},
		"swapped places": {func(r []Row) []Row { r[1], r[2] = r[2], r[1]; r[1].Seq, r[2].Seq = 2, 3; return r }, FaultAltered, 2},
		"of another key": {func(r []Row) []Row { return other.rows }, FaultAltered, 1},
		"cut":            {func(r []Row) []Row { return r[:3] }, FaultTruncated, 4},
		"all gone":       {func([]Row) []Row { return nil }, FaultTruncated, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := trail(t, 5)
			want := Expectation{Checkpoints: []Checkpoint{checkpoint(t, m.chain, m.rows[3])}}
			result := verify(t, m.chain, row.tamper(slices.Clone(m.rows)), want)
			if result.Break == nil {
				t.Fatal("not noticed")
			}
			if result.Break.Fault != row.fault || result.Break.Seq != row.seq || result.Break.Text == "" {
				t.Errorf("%+v, want %s at %d", *result.Break, row.fault, row.seq)
			}
		})
	}
}

// What the chain cannot show by itself, and why checkpoints are exported.
func TestVerifyMissesACutEndOnlyWithoutCheckpoint(t *testing.T) {
	m := trail(t, 5)
	behind := Expectation{Checkpoints: []Checkpoint{checkpoint(t, m.chain, m.rows[1])}}
	if got := verify(t, m.chain, m.rows[:3], behind); got.Break != nil || got.Covered != 2 {
		t.Errorf("%+v", got)
	}
	ahead := Expectation{Checkpoints: []Checkpoint{checkpoint(t, m.chain, m.rows[1]), checkpoint(t, m.chain, m.rows[4])}}
	if got := verify(t, m.chain, m.rows[:3], ahead); got.Break == nil || got.Break.Fault != FaultTruncated {
		t.Errorf("%+v", got)
	}
}

// Cutting the end and going on with the genuine key gives another history of
// the same numbers.
func TestVerifyNoticesACutEndThatWasWrittenOn(t *testing.T) {
	m := trail(t, 5)
	seen := checkpoint(t, m.chain, m.rows[4])
	m.rows = m.rows[:3]
	for range 4 {
		if _, err := m.AppendEvent(t.Context(), Event{At: noon, Name: ConfigLoaded}); err != nil {
			t.Fatal(err)
		}
	}
	got := verify(t, m.chain, m.rows, Expectation{Checkpoints: []Checkpoint{seen}})
	if got.Break == nil || got.Break.Fault != FaultCheckpoint || got.Break.Seq != 5 {
		t.Errorf("%+v", got.Break)
	}
}

func TestVerifyBeginsAtACheckpointWhereOldRowsWereDeleted(t *testing.T) {
	m := trail(t, 6)
	from := checkpoint(t, m.chain, m.rows[2])
	for name, points := range map[string][]Checkpoint{
		"none":     nil,
		"the same": {from},
		"older":    {checkpoint(t, m.chain, m.rows[0])},
		"newer":    {checkpoint(t, m.chain, m.rows[4])},
	} {
		got := verify(t, m.chain, m.rows[3:], Expectation{From: from, Checkpoints: points})
		if got.Break != nil || got.Records != 3 {
			t.Errorf("%s: %+v", name, got.Break)
		}
	}
	fork := from
	fork.Hash = m.rows[0].Hash
	if got := verify(t, m.chain, m.rows[3:], Expectation{From: from, Checkpoints: []Checkpoint{fork}}); got.Break == nil || got.Break.Fault != FaultCheckpoint {
		t.Error("two checkpoints of one number contradict each other unnoticed")
	}
	if got := verify(t, m.chain, m.rows[4:], Expectation{From: from}); got.Break == nil || got.Break.Fault != FaultMissing {
		t.Errorf("a gap behind the checkpoint: %+v", got.Break)
	}
}

func TestVerifyReportsATrailThatCannotBeRead(t *testing.T) {
	m := trail(t, 2)
	m.fail = errors.New("disk on fire")
	if _, err := m.chain.Verify(Walk(t.Context(), m, 0), Expectation{}); !errors.Is(err, m.fail) {
		t.Errorf("got %v", err)
	}
}

// TestWhatBeginsAsItsColumnsSaysThem: the quick look at a body never takes for
// whole what reading it does not.
func TestWhatBeginsAsItsColumnsSaysThem(t *testing.T) {
	c := newChain(t)
	values := []string{"", "a", "b", `with "quotes"`, "<script>", "é", "a\x00b"}
	quick := 0
	for i := range 7 * 7 * 7 {
		e := full()
		e.Reference, e.Account, e.Actor = values[i%7], values[i/7%7], values[i/49]
		if i%2 == 0 {
			e.Organisation, e.Session = "", ""
		}
		record, err := c.Seal(Link{}, e)
		if err != nil {
			t.Fatal(err)
		}
		row := record.Row()
		if beginsAs(row) {
			quick++
		}
		for name, change := range map[string]func(*Row){
			"": func(*Row) {}, "at": func(r *Row) { r.At = r.At.Add(time.Second) }, "name": func(r *Row) { r.Name = ConfigLoaded },
			"reference": func(r *Row) { r.Reference += "x" }, "account": func(r *Row) { r.Account += "x" }, "actor": func(r *Row) { r.Actor += "x" },
			"organisation": func(r *Row) { r.Organisation += "x" }, "reference ": func(r *Row) { r.Reference, r.Account = r.Account, r.Reference },
			"account ": func(r *Row) { r.Account = "" }, "actor ": func(r *Row) { r.Actor = "" }, "organisation ": func(r *Row) { r.Organisation = "" },
			"injected": func(r *Row) { r.Reference, r.Account = r.Reference+`","account":"`+r.Account, "" },
		} {
			changed := row
			change(&changed)
			same := changed.At.Equal(row.At) && changed.Name == row.Name && changed.Reference == row.Reference && changed.Account == row.Account &&
				changed.Actor == row.Actor && changed.Organisation == row.Organisation
			if column := alteredColumn(changed); (column == "") != same {
				t.Errorf("%q: altered is %q, the same is %v: %+v", name, column, same, changed)
			}
		}
	}
	if quick == 0 {
		t.Error("no body begins as its columns say")
	}
}
