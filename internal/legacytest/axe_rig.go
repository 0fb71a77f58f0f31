package legacytest

import (
	"os"
	"path/filepath"
	"testing"
)

// Axe is the script of axe-core, which judges whether people can use a page
// who cannot see it, or use no mouse.
func Axe(tb testing.TB) string {
	tb.Helper()
	script, err := os.ReadFile(filepath.Join(npmProgram(tb, "axe"), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(script)
}
