package legacytest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Namespace is a machine of its own as far as the network goes: a network
// namespace that two cables lead to. Only root has them, on Linux.
type Namespace struct {
	// Front is where those who visit the machine find it.
	Front string
	name  string
	ours  [2]string // addresses of our ends of the cables, front and back
	back  string    // our end of the back cable
	tb    testing.TB
}

// namespacePrefix is followed by the process that made one, so that what one
// that was killed has left can be told.
const namespacePrefix = "stepgate-"

// ownNetwork tells a test that it runs in a network of its own.
const ownNetwork = "STEPGATE_TEST_OWN_NETWORK"

// InOwnNetwork runs the test again where its cables trouble nobody: browsers of
// other tests give up their connections when an interface of theirs comes or
// goes. It tells whether the test is over with that; it is not in there, nor
// where there are no such networks.
func InOwnNetwork(tb testing.TB) bool {
	tb.Helper()
	_, err := exec.LookPath("unshare")
	if os.Getenv(ownNetwork) != "" || os.Geteuid() != 0 || err != nil {
		return false
	}
	program, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	again := exec.CommandContext(tb.Context(), "unshare", "--net", "sh", "-c", `ip link set lo up && exec "$0" "$@"`,
		program, "-test.run", "^"+tb.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), ownNetwork+"=1")
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+tb.Name()+" ") {
		tb.Errorf("%v\n%s", err, out)
	}
	return true
}

// StartNamespace makes one that goes with the test, or says why it cannot.
func StartNamespace(tb testing.TB) (*Namespace, error) {
	tb.Helper()
	if os.Geteuid() != 0 {
		return nil, errors.New("only root has network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, err
	}
	removeOrphans()
	pid := os.Getpid()
	n := &Namespace{name: namespacePrefix + strconv.Itoa(pid), tb: tb, back: fmt.Sprintf("sgb%d", pid)}
	tb.Cleanup(func() { removeNamespace(n.name) })
	if err := ip("netns", "add", n.name); err != nil {
		return nil, err
	}
	for i, cable := range []string{fmt.Sprintf("sgf%d", pid), n.back} {
		// 198.18.0.0/15 is for tests between two machines (RFC 2544).
		block := pid*8 + i*4
		at := func(host int) string {
			return fmt.Sprintf("198.%d.%d.%d", 18+block>>16&1, block>>8&255, block&255+host)
		}
		n.ours[i] = at(1)
		if i == 0 {
			n.Front = at(2)
		}
		for _, args := range [][]string{
			{"link", "add", cable, "type", "veth", "peer", "name", cable + "p", "netns", n.name},
			{"address", "add", at(1) + "/30", "dev", cable},
			{"link", "set", cable, "up"},
			{"-n", n.name, "address", "add", at(2) + "/30", "dev", cable + "p"},
			{"-n", n.name, "link", "set", cable + "p", "up"},
		} {
			if err := ip(args...); err != nil {
				return nil, err
			}
		}
	}
	if err := ip("-n", n.name, "link", "set", "lo", "up"); err != nil {
		return nil, err
	}
	// Nobody listens there yet: to be told so is to have been there.
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(n.Front, "9"), 5*time.Second)
	if err == nil {
		conn.Close()
	} else if !errors.Is(err, syscall.ECONNREFUSED) {
		return nil, err
	}
	return n, nil
}

// Command is one that runs there. Its process is the program itself.
func (n *Namespace) Command(name string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(name)
	return exec.Command("ip", append([]string{"netns", "exec", n.name, path}, args...)...), err
}

// ToFront leads to a server of ours by the cable that visitors come by, and
// ToBack by the one that can be pulled out. They give the address to use there.
func (n *Namespace) ToFront(addr string) string { return startWire(n.tb, n.ours[0], addr).Addr }
func (n *Namespace) ToBack(addr string) string  { return startWire(n.tb, n.ours[1], addr).Addr }

// Cut pulls the back cable out: what is sent is lost, and nobody is told.
func (n *Namespace) Cut() { n.set("down") }

// Join plugs it in again.
func (n *Namespace) Join() { n.set("up") }

func (n *Namespace) set(state string) {
	n.tb.Helper()
	if err := ip("link", "set", n.back, state); err != nil {
		n.tb.Fatalf("legacytest: namespace: %v", err)
	}
}

func ip(args ...string) error {
	if said, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, said)
	}
	return nil
}

// removeNamespace removes one with its cables, if there is one.
func removeNamespace(name string) {
	_, pid, _ := strings.Cut(name, namespacePrefix)
	_ = ip("link", "del", "sgf"+pid)
	_ = ip("link", "del", "sgb"+pid)
	_ = ip("netns", "del", name)
}

// removeOrphans removes those of tests that were killed.
func removeOrphans() {
	found, err := os.ReadDir("/run/netns")
	if err != nil {
		return
	}
	for _, f := range found {
		pid, err := strconv.Atoi(strings.TrimPrefix(f.Name(), namespacePrefix))
		if err == nil && strings.HasPrefix(f.Name(), namespacePrefix) && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			removeNamespace(f.Name())
		}
	}
}
