package legacytest

import (
	"path/filepath"
	"testing"
)

// Libraries is a folder of script libraries, as applications of several ages
// load them, each as its npm package has it.
func Libraries(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(npmProgram(tb, "libraries"), "node_modules")
}
