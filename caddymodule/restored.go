package caddymodule

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store/sqldb"
)

// A store that was brought back from a backup forgets what was spent since. To
// see that it was, each node keeps beside its key file which record of the
// audit trail is the newest that it has seen: a trail that lacks that record,
// or has another in its place, is an older one.

// markEvery is how often the mark is moved where there is something new.
const markEvery = time.Second

// mark is the file with the newest record seen. Only its keeper's goroutine
// uses it.
type mark struct {
	path string
	last audit.Link
}

func (a *App) markFile() string { return a.KeyFile + ".seen" }

// read gives the record of the file, the zero one where there is none.
func (m *mark) read() (audit.Link, error) {
	text, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return audit.Link{}, nil
	}
	if err != nil {
		return audit.Link{}, err
	}
	number, digits, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	seq, err := strconv.ParseInt(number, 10, 64)
	hash, broken := hex.DecodeString(digits)
	if err != nil || broken != nil || seq < 1 || len(hash) == 0 {
		return audit.Link{}, fmt.Errorf("%s: not a mark of this gateway; if the store was restored, run `stepgate store restored`, then delete the file", m.path)
	}
	return audit.Link{Seq: seq, Hash: hash}, nil
}

// move writes the newest record of the store, if it is another than before.
func (m *mark) move(ctx context.Context, db *sqldb.DB) error {
	link, err := db.LastEvent(ctx)
	if err != nil || link.Seq == 0 || link.Seq == m.last.Seq {
		return err
	}
	if err := keys.Replace(m.path, fmt.Appendf(nil, "%d %x\n", link.Seq, link.Hash)); err != nil {
		return err
	}
	m.last = link
	return nil
}

// restored tells whether the store is older than what this node has seen.
func (m *mark) restored(ctx context.Context, db *sqldb.DB) (bool, error) {
	seen, err := m.read()
	if err != nil || seen.Seq == 0 {
		return false, err
	}
	there, err := db.EventLink(ctx, seen.Seq)
	if err != nil {
		return false, err
	}
	if there.Seq != 0 {
		return string(there.Hash) != string(seen.Hash), nil
	}
	last, err := db.LastEvent(ctx) // a record that was pruned is not lost
	return last.Seq < seen.Seq, err
}

// recognise voids what a store that was brought back may have forgotten to be
// spent.
func (a *App) recognise(ctx context.Context, db *sqldb.DB, isNew bool) (*mark, error) {
	m := &mark{path: a.markFile()}
	if isNew { // and its trail another one
		if err := os.Remove(m.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return m, nil
	}
	older, err := m.restored(ctx, db)
	if err != nil || !older {
		return m, err
	}
	now := time.Now()
	codes, err := db.VoidSpendable(ctx, now, audit.Event{
		At: now.UTC(), Name: audit.StoreRestored, Actor: "gateway", Outcome: "success", Reason: "trail-older-than-seen",
	})
	if err != nil {
		return nil, err
	}
	a.log().Warn("the store is older than what this gateway has seen of it: it was restored from a backup; everybody is signed out, and backup codes, temporary codes, codes under way and kept requests are void",
		zap.String("store", a.Store.name()), zap.Int64("code_lists", codes), zap.String("mark", m.path))
	return m, m.move(ctx, db)
}

// keepMark moves the mark until the end, and then once more.
func (s *shared) keepMark(m *mark, db *sqldb.DB) {
	tick := time.NewTicker(markEvery)
	defer tick.Stop()
	warned := false
	for {
		select {
		case <-s.life.Done():
			return
		case <-tick.C:
			err := m.move(s.life, db)
			if err != nil && s.life.Err() == nil && errors.As(err, new(*fs.PathError)) && !warned {
				warned = true
				s.log.Load().Warn("cannot keep what was seen of the audit trail beside the key file: a store that is restored from a backup will not be recognised; run `stepgate store restored` after a restore",
					zap.String("folder", filepath.Dir(m.path)), zap.Error(err))
			}
		}
	}
}
