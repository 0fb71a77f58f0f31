package sqldb

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

func secretMessage(id string) delivery.Queued {
	return delivery.Queued{Message: delivery.Message{
		ID: id, Channel: delivery.SMS, To: "+447700900609", Subject: "a subject of its own", Body: "987654 is your code", ExpiresAt: storetest.Noon.Add(time.Hour),
	}, DueAt: storetest.Noon}
}

func TestNobodyReadsACodeInTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stepgate.db")
	db := openFile(t, path, storetest.NewRing(t))
	if err := db.QueueMessage(t.Context(), secretMessage("message-one"), 10); err != nil {
		t.Fatal(err)
	}
	var kept []byte
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, content...)
	}
	if !bytes.Contains(kept, []byte("message-one")) {
		t.Fatal("what is kept does not even hold the message's ID")
	}
	for _, secret := range []string{"987654", "900609", "a subject of its own"} {
		if bytes.Contains(kept, []byte(secret)) || bytes.Contains(kept, []byte(hex.EncodeToString([]byte(secret)))) {
			t.Errorf("%q is kept in the clear", secret)
		}
	}
}

func TestMovedMessageIsNotSent(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "stepgate.db"), storetest.NewRing(t))
	for _, id := range []string{"one", "two", "whole"} {
		if err := db.QueueMessage(t.Context(), secretMessage(id), 10); err != nil {
			t.Fatal(err)
		}
	}
	swap := `UPDATE outbox SET sealed_message = (SELECT o.sealed_message FROM outbox o WHERE o.id = 'two') WHERE id = 'one'`
	if err := db.write(t.Context(), raw(swap)); err != nil {
		t.Fatal(err)
	}
	kept, err := db.ClaimMessages(t.Context(), storetest.Noon, storetest.Noon.Add(time.Minute), 10)
	if !errors.Is(err, ErrUnsealed) || len(kept) != 2 || kept[0].ID != "two" && kept[0].ID != "whole" {
		t.Errorf("%v, %v", kept, err)
	}
}
