package watched

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
)

func TestSpoolGivesBackWhatItKept(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, length := range []int{0, 1, spoolMemory, spoolMemory + 1, 3*spoolMemory + 12345} {
		var s Spool
		var want, got bytes.Buffer
		piece := make([]byte, 40_000)
		for want.Len() < length {
			for i := range piece {
				piece[i] = byte(rand.Int())
			}
			p := piece[:min(len(piece), length-want.Len())]
			want.Write(p)
			if _, err := s.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		if s.file != nil {
			raw := make([]byte, 64)
			if n, err := s.file.ReadAt(raw, 0); err != nil && !errors.Is(err, io.EOF) || n > 8 && bytes.Contains(want.Bytes(), raw[:n]) {
				t.Errorf("the file has the answer in plain, %v", err)
			}
		}
		if n, err := s.WriteTo(&got); err != nil || n != int64(length) || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%d bytes came back of %d, %v", n, length, err)
		}
		if held := s.memory.Len(); held > spoolMemory {
			t.Errorf("%d bytes are held in memory", held)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
			t.Errorf("%d files are left, %v", len(left), err)
		}
	}
}

func TestSpoolIsBounded(t *testing.T) {
	s := Spool{length: maxSpool - 10}
	defer s.Close()
	if _, err := s.Write(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Write([]byte{1}); n != 0 || !errors.Is(err, errSpoolFull) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestSpoolWithoutAPlaceForItsFileSaysSo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+"/gone")
	var s Spool
	defer s.Close()
	if _, err := s.Write(make([]byte, spoolMemory+1)); err == nil {
		t.Error("no error")
	}
	if n, err := s.WriteTo(io.Discard); n != 0 || err != nil {
		t.Errorf("%d bytes are kept of what was refused, %v", n, err)
	}
}
