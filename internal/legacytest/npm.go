package legacytest

import (
	"path/filepath"
	"testing"
)

// npmPrograms is where scripts/install-test-packages puts each program of the
// npm registry.
const npmPrograms = "/var/cache/stepgate-test"

// npmProgram is the folder of a program of scripts/npm, with its packages in
// node_modules. The test is skipped, or fails, where it is not installed.
func npmProgram(tb testing.TB, name string) string {
	tb.Helper()
	needs(tb, "nodejs", "/usr/bin/node")
	dir := filepath.Join(npmPrograms, name)
	needs(tb, "npm (for "+name+")", filepath.Join(dir, "installed"))
	return dir
}
