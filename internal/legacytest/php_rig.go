package legacytest

import "testing"

// StartPHP runs PHP's own web server over the files, which hands what follows a
// script to it as PATH_INFO, and looks for an index.php upwards of a path that
// it does not find.
func StartPHP(tb testing.TB) *Tree {
	tb.Helper()
	needsPHP(tb, nil)
	t := newTree(tb)
	t.Front = "/front.php"
	put(tb, t.Dir, map[string]string{"docs/front.php": frontPHP})
	return t.at(serve(tb, phpServer("php", t.Dir, t.Dir+"/docs", "")))
}
