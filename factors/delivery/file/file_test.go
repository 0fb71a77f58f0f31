package file_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/delivery/file"
)

func TestAppendsOneObjectALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "messages.jsonl")
	now := func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.FixedZone("", 3600)) }
	for _, m := range []delivery.Message{
		{Channel: "sms", To: "+447700900609", Body: "123456 is your code\n\n@portal.example.gov #123456", Subject: ""},
		{Channel: "email", To: "joe@example.test", Subject: "Your <code>", Body: "\"x\" \u2028"},
	} {
		if err := (&file.Sender{Path: path, Now: now}).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	want := []map[string]string{
		{"time": "2026-03-01T11:00:00.005Z", "channel": "sms", "to": "+447700900609", "subject": "", "body": "123456 is your code\n\n@portal.example.gov #123456"},
		{"time": "2026-03-01T11:00:00.005Z", "channel": "email", "to": "joe@example.test", "subject": "Your <code>", "body": "\"x\" \u2028"},
	}
	if diff := cmp.Diff(want, lines(t, path)); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func lines(t *testing.T, path string) (all []map[string]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var one map[string]string
		if err := json.Unmarshal(in.Bytes(), &one); err != nil {
			t.Fatalf("%s: %v", in.Bytes(), err)
		}
		all = append(all, one)
	}
	return all
}

func TestParallelLinesDoNotMix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "messages.jsonl")
	senders := []*file.Sender{{Path: path}, {Path: path}}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if err := senders[i%2].Send(t.Context(), delivery.Message{Channel: "sms", To: fmt.Sprint(i), Body: "body"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(lines(t, path)); n != 100 {
		t.Errorf("%d lines", n)
	}
}

func TestMissingDirectoryIsTemporary(t *testing.T) {
	err := (&file.Sender{Path: filepath.Join(t.TempDir(), "none", "x")}).Send(t.Context(), delivery.Message{})
	if !errors.Is(err, delivery.ErrTemporary) {
		t.Error(err)
	}
}
