package gate

import (
	"testing"
	"time"
)

func TestLentSessionsEnd(t *testing.T) {
	var l lending
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l.lend([32]byte{1}, "a=b", noon.Add(5*time.Minute))
	for after, want := range map[time.Duration]string{0: "a=b", 5 * time.Minute: "a=b"} {
		if got := l.cookie([32]byte{1}, noon.Add(after)); got != want {
			t.Errorf("after %s: %q", after, got)
		}
	}
	if got := l.cookie([32]byte{2}, noon); got != "" {
		t.Errorf("to others: %q", got)
	}
	if got := l.cookie([32]byte{1}, noon.Add(5*time.Minute+1)); got != "" {
		t.Errorf("after its time: %q", got)
	}
}
