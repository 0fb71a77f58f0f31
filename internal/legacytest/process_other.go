//go:build !linux

package legacytest

import (
	"testing"
	"time"
)

const (
	webUser   = ""
	startTime = time.Minute
)

type command struct {
	name string
	dir  string
	user string
	env  []string
	argv []string
}

func serve(tb testing.TB, _ func(addr string) command) string {
	tb.Helper()
	tb.Skip("legacytest: the rigs need Linux")
	return ""
}

func keep(tb testing.TB, _ func(addr string) command) string {
	tb.Helper()
	tb.Skip("legacytest: the rigs need Linux")
	return ""
}

func run(tb testing.TB, _ command) string {
	tb.Helper()
	tb.Skip("legacytest: the rigs need Linux")
	return ""
}
