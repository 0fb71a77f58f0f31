package keys

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestARetiredKeyIsGoneAndWhatLastsStays(t *testing.T) {
	r, path := create(t)
	first := r.List()[0].ID
	counted, sealed := r.LastingMAC("p", []byte("x")), seal(t, r, "p", "x", "")
	rotate(t, r, path)
	second := r.List()[1].ID
	kept := seal(t, r, "p", "y", "")
	rotate(t, r, path)
	other := load(t, path) // a node that has the keys of before
	if err := r.Retire(path, []string{first}); err != nil {
		t.Fatal(err)
	}
	for name, ring := range map[string]*Ring{"here": r, "after a restart": load(t, path)} {
		if list := ring.List(); len(list) != 2 || list[0].ID != second || !list[1].Primary {
			t.Errorf("%s: %+v", name, list)
		}
		if _, err := ring.Open("p", sealed, nil); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: what the retired key sealed: %v", name, err)
		}
		if got, err := ring.Open("p", kept, nil); err != nil || string(got) != "y" {
			t.Errorf("%s: what another older key sealed: %q, %v", name, got, err)
		}
		if !bytes.Equal(ring.LastingMAC("p", []byte("x")), counted) {
			t.Errorf("%s: counters have another name", name)
		}
	}
	if text, err := os.ReadFile(path); err != nil || strings.Count(string(text), "\nlasting ") != 1 {
		t.Errorf("%s, %v", text, err)
	}

	// The oldest of those that are left may go as well, and a new one may come.
	rotate(t, r, path)
	if err := r.Retire(path, []string{second}); err != nil {
		t.Fatal(err)
	}
	if again := load(t, path); !bytes.Equal(again.LastingMAC("p", []byte("x")), counted) || len(again.List()) != 2 {
		t.Errorf("%+v", again.List())
	}

	source := Source{File: path}
	if err := other.Reload(t.Context(), source, known(other.Checks()...)); !errors.Is(err, ErrWrongKey) {
		t.Errorf("a file without keys that nobody retired: %v", err)
	}
	gone := known(other.Checks()...)
	gone[0].RetiredAt, gone[1].RetiredAt = day, day
	if err := other.Reload(t.Context(), source, gone); err != nil || len(other.List()) != 2 {
		t.Errorf("a file without retired keys: %v", err)
	}
}

func TestOnlyOlderKeysAreRetired(t *testing.T) {
	r, path := create(t)
	rotate(t, r, path)
	if _, err := r.Prepare(path, day); err != nil {
		t.Fatal(err)
	}
	list := r.List()
	for _, ids := range [][]string{{list[1].ID}, {list[2].ID}, {"0123456789abcdef"}, {""}, {list[0].ID, list[1].ID}} {
		if err := r.Retire(path, ids); !errors.Is(err, ErrInUse) {
			t.Errorf("%q: %v", ids, err)
		}
		if _, err := r.Without(ids); !errors.Is(err, ErrInUse) {
			t.Errorf("without %q: %v", ids, err)
		}
	}
	if got := load(t, path).List(); len(got) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestAFileThatWouldWriteWithARetiredKeyIsRefused(t *testing.T) {
	r, path := create(t)
	old := load(t, path)
	rotate(t, r, path)
	store := known(r.Checks()...)
	store[0].RetiredAt = day.Add(time.Hour)
	if err := r.Knows(store); err != nil {
		t.Errorf("a node that has the retired key still: %v", err)
	}
	if err := r.Retire(path, []string{store[0].ID()}); err != nil {
		t.Fatal(err)
	}
	if err := r.Knows(store); err != nil {
		t.Errorf("a node that has it no more: %v", err)
	}
	if err := old.Knows(store); !errors.Is(err, ErrWrongKey) || !strings.Contains(err.Error(), "retired") {
		t.Errorf("a node with the file of before: %v", err)
	}
}

func TestWhatLastsStandsInTheFileOnce(t *testing.T) {
	r, path := create(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"lasting", "lasting x", "lasting " + strings.Repeat("A", 40), "lasting " + strings.Repeat("A", 43) + "=\nlasting " + strings.Repeat("A", 43) + "="} {
		if err := os.WriteFile(path, append([]byte(line+"\n"), text...), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%q: %v", line, err)
		}
	}
	if err := os.WriteFile(path, append([]byte("lasting "+strings.Repeat("A", 43)+"=\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := load(t, path); bytes.Equal(got.LastingMAC("p"), r.LastingMAC("p")) {
		t.Error("the line is not read")
	}
}

func TestAMACNamesItsKey(t *testing.T) {
	r, path := create(t)
	id, mac := r.MACMaker("p")
	rotate(t, r, path)
	sum := mac([]byte("x"))
	if under, ok := r.UnderKey(id, "p", []byte("x")); !ok || !bytes.Equal(under, sum) || bytes.Equal(sum, r.MAC("p", []byte("x"))) {
		t.Error("a maker does not stay with its key")
	}
	if _, ok := r.UnderKey("0123456789abcdef", "p"); ok {
		t.Error("a key that is not there")
	}
}
