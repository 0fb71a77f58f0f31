//go:build linux

package legacytest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// watched is a test that notes how it was stopped instead of stopping ours.
type watched struct {
	testing.TB
	skipped, failed string
	cleanups        []func()
}

func (w *watched) Helper()             {}
func (w *watched) Failed() bool        { return w.failed != "" }
func (w *watched) Cleanup(f func())    { w.cleanups = append(w.cleanups, f) }
func (w *watched) Logf(string, ...any) {}

func (w *watched) Skipf(format string, args ...any) {
	w.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (w *watched) Fatalf(format string, args ...any) {
	w.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// watch runs f as a test of its own, cleanups included.
func watch(t *testing.T, f func(testing.TB)) *watched {
	t.Helper()
	w := &watched{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(w)
	}()
	<-done
	for len(w.cleanups) > 0 {
		last := w.cleanups[len(w.cleanups)-1]
		w.cleanups = w.cleanups[:len(w.cleanups)-1]
		last()
	}
	return w
}

func TestMissingPackageSkipsUnlessRequired(t *testing.T) {
	ask := func(tb testing.TB) { needs(tb, "left-pad", "/usr/share/left-pad/*.js") }
	t.Setenv("STEPGATE_TEST_REQUIRE", "")
	if w := watch(t, ask); !strings.Contains(w.skipped, "left-pad is not installed") || w.failed != "" {
		t.Errorf("skipped %q, failed %q; want a skip with the package's name", w.skipped, w.failed)
	}
	t.Setenv("STEPGATE_TEST_REQUIRE", "1")
	if w := watch(t, ask); !strings.Contains(w.failed, "left-pad is not installed") || w.skipped != "" {
		t.Errorf("skipped %q, failed %q; want a failure with the package's name", w.skipped, w.failed)
	}
	if w := watch(t, func(tb testing.TB) { needs(tb, "bash", "/bin/sh") }); w.failed != "" {
		t.Errorf("what is there is missed: %s", w.failed)
	}
}

func listens(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

func TestServerAndFolderEndWithTheTest(t *testing.T) {
	var tree *Tree
	w := watch(t, func(tb testing.TB) {
		tree = StartWSGI(tb)
		if !listens(tree.Addr) {
			t.Error("it does not listen")
		}
	})
	if w.skipped != "" {
		t.Skip(w.skipped)
	}
	if listens(tree.Addr) {
		t.Error("it still listens")
	}
	if _, err := os.Stat(tree.Dir); !os.IsNotExist(err) {
		t.Errorf("its folder: %v", err)
	}
}

func TestServerThatDiesSaysWhy(t *testing.T) {
	tries := 0
	w := watch(t, func(tb testing.TB) {
		dir := newDir(tb)
		serve(tb, func(string) command {
			tries++
			return command{name: "dying", dir: dir, user: webUser, argv: []string{"/bin/sh", "-c", "echo no such module; exit 3"}}
		})
	})
	if !strings.Contains(w.failed, "ended before it listened") || !strings.Contains(w.failed, "no such module") {
		t.Errorf("failed with %q", w.failed)
	}
	if tries != 3 {
		t.Errorf("%d tries, want 3", tries)
	}
}

func TestWhatIgnoresTheSignalIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the signal's time")
	}
	started := time.Now()
	var addr string
	w := watch(t, func(tb testing.TB) {
		needs(tb, "python3", "/usr/bin/python3")
		dir := newDir(tb)
		addr = serve(tb, func(addr string) command {
			return command{name: "stubborn", dir: dir, user: webUser, argv: []string{"/bin/sh", "-c",
				"trap '' TERM; /usr/bin/python3 -m http.server --bind 127.0.0.1 " + portOf(addr)}}
		})
	})
	if w.skipped != "" {
		t.Skip(w.skipped)
	}
	if took := time.Since(started); took < stopTime {
		t.Errorf("killed after %s, before its time was up", took)
	}
	// The shell is waited for; its child dies of the same signal a moment later.
	for deadline := time.Now().Add(time.Minute); listens(addr); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it still listens")
		}
	}
}

// TestNothingOutlivesTheTestBinary runs this test again in a process of its
// own, kills that, and waits for its servers to go.
func TestNothingOutlivesTheTestBinary(t *testing.T) {
	const mark = "LEGACYTEST_TO_BE_KILLED"
	if os.Getenv(mark) != "" {
		tree, dsn := StartWSGI(t), StartPostgres(t)
		at := strings.LastIndex(dsn, "@") + 1
		fmt.Printf("\naddresses %s %s\n", tree.Addr, dsn[at:at+strings.Index(dsn[at:], "/")])
		select {}
	}
	if testing.Short() {
		t.Skip("starts PostgreSQL")
	}
	needs(t, "python3", "/usr/bin/python3")
	needs(t, "postgresql", "/usr/lib/postgresql/*/bin/initdb")
	folders := newDir(t)
	if err := os.Chmod(folders, 0o777); err != nil { // PostgreSQL's user removes its own
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNothingOutlivesTheTestBinary$")
	child.Env = append(os.Environ(), mark+"=1", "TMPDIR="+folders)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var web, database string
	for lines := bufio.NewScanner(out); web == "" && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "addresses %s %s", &web, &database)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	if web == "" {
		t.Fatal("the child did not start its servers")
	}
	left := func() []string {
		var left []string
		for _, addr := range []string{web, database} {
			if listens(addr) {
				left = append(left, addr)
			}
		}
		found, err := filepath.Glob(folders + "/legacytest-postgres-*")
		if err != nil {
			t.Fatal(err)
		}
		return append(left, found...)
	}
	for deadline := time.Now().Add(90 * time.Second); len(left()) > 0; time.Sleep(pollEvery) {
		if time.Now().After(deadline) {
			t.Fatalf("still there: %v", left())
		}
	}
}
