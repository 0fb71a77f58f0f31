package keys

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRotateAddsAPrimaryAndKeepsTheOthers(t *testing.T) {
	r, path := create(t)
	before := r.List()
	got, err := r.Rotate(path, day.AddDate(0, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got != r {
		t.Error("Rotate gave another ring")
	}
	after := r.List()
	if len(after) != 2 || after[0].ID != before[0].ID || after[0].Primary || !after[1].Primary {
		t.Errorf("%+v", after)
	}
	if diff := cmp.Diff(after, load(t, path).List()); diff != "" {
		t.Errorf("the file holds something else: %s", diff)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o", info.Mode().Perm())
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the new file's name is still taken")
	}
}

func TestRotateTakesThePreparedKey(t *testing.T) {
	r, path := create(t)
	for range 2 { // preparing twice prepares one
		if _, err := r.Prepare(path, day); err != nil {
			t.Fatal(err)
		}
	}
	list := r.List()
	if len(list) != 2 || !list[0].Primary || !list[1].Prepared {
		t.Fatalf("%+v", list)
	}
	if len(r.Checks()) != 1 {
		t.Error("a store is told to know a key that never wrote")
	}
	if !strings.Contains(string(r.JWKS()), list[1].ID) {
		t.Error("a prepared key is not published")
	}
	other := load(t, path) // a node that got the file before the rotation
	rotate(t, r, path)
	if got := r.List(); len(got) != 2 || got[1].ID != list[1].ID || !got[1].Primary {
		t.Fatalf("%+v", got)
	}
	if got, err := other.Open("p", seal(t, r, "p", "x", ""), nil); err != nil || string(got) != "x" {
		t.Errorf("a node with the prepared key cannot open: %v", err)
	}
	if !other.VerifyMAC("p", r.MAC("p", []byte("x")), []byte("x")) {
		t.Error("a node with the prepared key cannot verify")
	}
}

func TestReloadTakesOverWhatAnotherNodeRotated(t *testing.T) {
	r, path := create(t)
	other := load(t, path)
	rotate(t, r, path)
	sealed := seal(t, r, "p", "x", "")
	if _, err := other.Open("p", sealed, nil); !errors.Is(err, ErrSealed) {
		t.Fatalf("opened without the key: %v", err)
	}
	if err := other.Reload(t.Context(), Source{File: path}, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Open("p", sealed, nil); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if !other.Current(sealed) {
		t.Error("the new key is not primary after the reload")
	}
}

func TestChangesOfTheFileNeverDropAKeyInUse(t *testing.T) {
	r, path := create(t)
	foreign, _ := create(t)
	before := r.List()
	if err := os.WriteFile(path, formatFile(foreign.held.Load()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context(), Source{File: path}, nil); !errors.Is(err, ErrWrongKey) {
		t.Errorf("Reload: %v", err)
	}
	if _, err := r.Rotate(path, day); !errors.Is(err, ErrWrongKey) {
		t.Errorf("Rotate: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context(), Source{File: path}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Reload: %v", err)
	}
	if _, err := r.Rotate(path, day); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Rotate: %v", err)
	}
	if diff := cmp.Diff(before, r.List()); diff != "" {
		t.Errorf("the ring changed: %s", diff)
	}
}

func TestRotateRefusesWhileAnotherIsUnderWay(t *testing.T) {
	r, path := create(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	staged := path + ".new"
	if err := os.WriteFile(staged, []byte("another's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rotate(path, day); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), staged) {
		t.Errorf("got %v", err)
	}
	if text, _ := os.ReadFile(staged); string(text) != "another's" {
		t.Error("the other's file was touched")
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the key file changed")
	}
}

func TestRotateKeepsTheLinkThatLeadsToTheFile(t *testing.T) {
	r, path := create(t)
	link := filepath.Join(t.TempDir(), "stepgate.key")
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	rotate(t, r, link)
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if diff := cmp.Diff(r.List(), load(t, path).List()); diff != "" {
		t.Error(diff)
	}
}

func TestRotationsByManyLoseNoKey(t *testing.T) {
	r, path := create(t)
	var done sync.WaitGroup
	for range 4 {
		other := load(t, path)
		done.Go(func() {
			for range 5 {
				for {
					_, err := other.Rotate(path, day)
					if err == nil {
						break
					}
					if !errors.Is(err, fs.ErrExist) {
						t.Error(err)
						return
					}
				}
				sealed, err := other.Seal("p", []byte("x"), nil)
				if err != nil {
					t.Error(err)
				}
				if err := r.Reload(t.Context(), Source{File: path}, nil); err != nil {
					t.Error(err)
				}
				if _, err := r.Open("p", sealed, nil); err != nil {
					t.Errorf("a key that sealed is not in the file: %v", err)
				}
			}
		})
	}
	done.Wait()
	if got := len(load(t, path).List()); got != 21 {
		t.Errorf("%d keys, want 21", got)
	}
}

func TestKnowsTellsTheStoresFileFromAnother(t *testing.T) {
	r, path := create(t)
	checks := r.Checks()
	foreign, _ := create(t)
	if err := r.Knows(nil); err != nil {
		t.Errorf("a new store: %v", err)
	}
	if err := load(t, path).Knows(known(checks...)); err != nil {
		t.Error(err)
	}
	err := foreign.Knows(known(checks...))
	if !errors.Is(err, ErrWrongKey) || !strings.Contains(err.Error(), r.List()[0].ID) || !strings.Contains(err.Error(), lostWithout) {
		t.Errorf("a foreign file: %v", err)
	}
	rotate(t, r, path)
	if err := r.Knows(known(checks...)); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	if len(r.Checks()) != 2 {
		t.Errorf("checks after a rotation: %q", r.Checks())
	}
	if err := foreign.Knows(known(append(foreign.Checks(), r.Checks()...)...)); !errors.Is(err, ErrWrongKey) {
		t.Errorf("one key of three: %v", err)
	}
	for _, bad := range []string{"", ":", r.List()[0].ID, r.List()[0].ID + ":", strings.Repeat("x", 5000)} {
		err := r.Knows(known(bad))
		if !errors.Is(err, ErrWrongKey) || len(err.Error()) > 1000 {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestALastingMACStaysOverRotations(t *testing.T) {
	r, path := create(t)
	before := r.LastingMAC("p", []byte("x"))
	rotate(t, r, path)
	rotate(t, r, path)
	for name, ring := range map[string]*Ring{"here": r, "another node": load(t, path)} {
		if got := ring.LastingMAC("p", []byte("x")); !bytes.Equal(got, before) {
			t.Errorf("%s: it changed", name)
		}
	}
	if bytes.Equal(r.LastingMAC("q", []byte("x")), before) {
		t.Error("two purposes have one MAC")
	}
}

// known is what a store says of keys in use.
func known(checks ...string) (all []Known) {
	for _, check := range checks {
		all = append(all, Known{Check: check})
	}
	return all
}
