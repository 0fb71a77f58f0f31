package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/store"
)

func testPins(t *testing.T, f *fixture) {
	pin := func(kind account.PinKind, name string, owner account.ID) account.Pin {
		return account.Pin{Source: "form", Kind: kind, Name: name, Account: owner, At: Noon}
	}
	keep := func(b *bench, pins ...account.Pin) {
		b.Helper()
		b.update(func(ctx context.Context, tx store.Tx) error {
			for _, p := range pins {
				if err := tx.KeepPin(ctx, p); err != nil {
					return err
				}
			}
			return nil
		})
	}
	read := func(b *bench, kind account.PinKind, name string, want account.ID) {
		b.Helper()
		got, err := b.Pin(b.Context(), "form", kind, name)
		if errors.Is(err, account.ErrNotFound) {
			got, err = account.Pin{}, nil
		}
		b.must(err)
		b.same(got.Account, want)
	}
	f.run(t, "ByteForByteAndByKind", func(t *testing.T, b *bench) {
		keep(b, pin(account.PinSubmitted, "joe", "one"), pin(account.PinSubmitted, "JOE", "two"), pin(account.PinIdentity, "joe", "three"))
		read(b, account.PinSubmitted, "joe", "one")
		read(b, account.PinSubmitted, "JOE", "two")
		read(b, account.PinIdentity, "joe", "three")
		read(b, account.PinIdentity, "Joe", "")
		_, err := b.Pin(t.Context(), "other", account.PinSubmitted, "joe")
		b.is(err, account.ErrNotFound)
	})
	f.run(t, "GoneWithTheirAccount", func(t *testing.T, b *bench) {
		a := b.person("jo")
		keep(b, pin(account.PinSubmitted, "joe", a.ID), pin(account.PinIdentity, "Joe", a.ID), pin(account.PinSubmitted, "ann", "other"))
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccount(ctx, a.ID) })
		read(b, account.PinSubmitted, "joe", "")
		read(b, account.PinSubmitted, "ann", "other")
	})
	f.run(t, "MovedByKeeping", func(t *testing.T, b *bench) {
		moved := pin(account.PinSubmitted, "joe", "two")
		moved.At = Noon.Add(time.Hour)
		keep(b, pin(account.PinSubmitted, "joe", "one"), pin(account.PinConfirmed, "joe", ""), moved)
		all, err := b.Pins(t.Context(), "two")
		b.must(err)
		b.same(all, []account.Pin{moved})
		b.update(func(ctx context.Context, tx store.Tx) error {
			return tx.DropPin(ctx, "form", account.PinSubmitted, "joe")
		})
		b.update(func(ctx context.Context, tx store.Tx) error {
			return tx.DropPin(ctx, "form", account.PinSubmitted, "joe")
		})
		read(b, account.PinSubmitted, "joe", "")
	})
}
