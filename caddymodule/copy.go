package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/caddymodule/command"
	"github.com/stepgate/stepgate/internal/store/sqldb"
)

// storeAddress is a store that a command line names.
type storeAddress struct{ config *StoreConfig }

// findStore implements command.Module.
func findStore(address string) (command.StoreAddress, error) {
	address = caddy.NewReplacer().ReplaceAll(address, "")
	scheme, rest, hasScheme := strings.Cut(address, ":")
	s := &StoreConfig{Driver: "sqlite", Path: address}
	switch {
	case address == "":
		return nil, errors.New("the address is empty")
	case !hasScheme || filepath.VolumeName(address) != "":
	case scheme == "sqlite":
		s.Path = strings.TrimPrefix(rest, "//")
	case scheme == "postgres" || scheme == "postgresql":
		s = &StoreConfig{Driver: "postgres", DSN: address}
	case strings.HasPrefix(rest, "//"):
		return nil, fmt.Errorf("there is no kind of store %q: name the path of a SQLite file, or postgres://USER@HOST/DATABASE", scheme)
	}
	if s.Path != "" {
		path, err := filepath.Abs(s.Path)
		if err != nil {
			return nil, err
		}
		s.Path = path
	}
	return storeAddress{s}, s.driver().check(s)
}

// Name implements command.StoreAddress.
func (s storeAddress) Name() string { return s.config.name() }

// CopyTo implements command.StoreAddress.
func (s storeAddress) CopyTo(ctx context.Context, to command.StoreAddress, progress func(table string, rows int64)) error {
	return sqldb.Copy(ctx, s.place(), to.(storeAddress).place(), progress)
}

func (s storeAddress) place() sqldb.Place { return s.config.driver().at(s.config) }
