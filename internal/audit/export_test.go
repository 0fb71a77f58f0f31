package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func lines(t testing.TB, m *memory) [][]byte {
	t.Helper()
	var out [][]byte
	for _, row := range m.rows {
		r, err := row.Record()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r.Line())
	}
	return out
}

func TestAnExportVerifiesWithoutItsStore(t *testing.T) {
	m := trail(t, 5)
	if _, err := m.AppendEvent(t.Context(), full()); err != nil {
		t.Fatal(err)
	}
	var rows []Row
	for _, line := range lines(t, m) {
		row, err := ParseLine(append(line, '\n'))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if diff := cmp.Diff(m.rows, rows); diff != "" {
		t.Error(diff)
	}
	if got := verify(t, m.chain, rows, Expectation{}); got.Break != nil {
		t.Errorf("%+v", got.Break)
	}
	changed := bytes.Replace(lines(t, m)[5], []byte(`"step-up"`), []byte(`"allow"`), 1)
	row, err := ParseLine(changed)
	if err != nil {
		t.Fatal(err)
	}
	rows[5] = row
	if got := verify(t, m.chain, rows, Expectation{}); got.Break == nil || got.Break.Seq != 6 {
		t.Errorf("a changed line: %+v", got.Break)
	}
}

func TestLineIsOneObject(t *testing.T) {
	r, err := newChain(t).Seal(Link{}, full())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		AppID string `json:"appid"`
		Seq   int64  `json:"seq"`
		Event string `json:"event"`
		At    string `json:"datetime"`
	}
	if err := json.Unmarshal(r.Line(), &got); err != nil {
		t.Fatal(err)
	}
	if got.AppID != "stepgate" || got.Seq != 1 || got.Event != "stepup_required" || got.At != "2026-03-01T12:00:00.123Z" {
		t.Errorf("%+v", got)
	}
}

func FuzzParseLine(f *testing.F) {
	r, err := newChain(f).Seal(Link{}, full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Line())
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"appid":"stepgate","seq":1,"hash":"",}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		row, err := ParseLine(line)
		if err != nil {
			if !errors.Is(err, ErrLine) {
				t.Errorf("%v is not ErrLine", err)
			}
			return
		}
		r, err := row.Record()
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Line(); !bytes.Equal(got, bytes.TrimSpace(line)) {
			t.Errorf("%q is written as %q", line, got)
		}
	})
}
