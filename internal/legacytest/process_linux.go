package legacytest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	startTime = 60 * time.Second // for a server to answer; these machines are busy
	stopTime  = 5 * time.Second  // between asking a server to end and killing it
	pollEvery = 20 * time.Millisecond
	logBytes  = 16 << 10 // of the end of a log that a failed test prints

	// webUser is who runs servers where the tests run as root.
	webUser = "www-data"
)

// command is one program to run. Its environment is env and little else.
type command struct {
	name string // for messages, and of the log
	dir  string // the rig's folder: working folder, home, temporary files, log
	user string // runs it where the tests run as root
	env  []string
	argv []string
}

// exec returns the command ready to start, its output going to log.
func (c command) exec(log *os.File) (*exec.Cmd, error) {
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8", "HOME=" + c.dir, "TMPDIR=" + c.dir,
	}, c.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	credential, err := credentialOf(c.user)
	cmd.SysProcAttr.Credential = credential
	return cmd, err
}

// credentialOf returns nil where the tests do not run as root: then everything
// runs as whoever runs them.
func credentialOf(name string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{}}, nil
}

// give hands the folder and all that is in it to the user who runs the servers.
func give(dir, name string) error {
	credential, err := credentialOf(name)
	if err != nil || credential == nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, int(credential.Uid), int(credential.Gid))
		}
		if errors.Is(err, fs.ErrNotExist) { // a temporary file of a server that runs already
			return nil
		}
		return err
	})
}

// process is a started command. exited is closed once its leader has ended but
// is not reaped yet, so that its number still names its own process group.
type process struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

// startProcess starts c. Where input is given the command ends by itself when
// that does; otherwise the kernel ends it with the test binary.
func startProcess(c command, log, input *os.File) (*process, error) {
	cmd, err := c.exec(log)
	if err != nil {
		return nil, err
	}
	if input != nil {
		cmd.Stdin = input
		cmd.SysProcAttr.Pdeathsig = 0
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	p := &process{cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		for errors.Is(unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		}
	}()
	return p, nil
}

// end asks the process group to end, kills what is left of it, and reaps its
// leader.
func (p *process) end() {
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopTime):
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// waitFor polls until something listens on addr, the process has ended, or the
// time is up.
func (p *process) waitFor(addr string) error {
	deadline := time.Now().Add(startTime)
	for {
		select {
		case <-p.exited:
			return errEnded
		default:
		}
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no answer on %s within %s", addr, startTime)
		}
		time.Sleep(pollEvery)
	}
}

var errEnded = errors.New("the process ended before it listened")

// serve starts a server on a free port, ends it with the test, and returns its
// address; configure writes what the server needs to know of it and returns the
// command.
func serve(tb testing.TB, configure func(addr string) command) string {
	tb.Helper()
	return onFreePort(tb, configure, func(c command) (*process, error) {
		log, err := openLog(tb, c)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		p, err := startProcess(c, log, nil)
		if err == nil {
			tb.Cleanup(p.end)
		}
		return p, err
	})
}

// keep starts a server that lives until the test binary ends and notices that
// by the end of its standard input. Its log stays in its folder.
func keep(tb testing.TB, configure func(addr string) command) string {
	tb.Helper()
	return onFreePort(tb, configure, func(c command) (*process, error) {
		log, err := createLog(c)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		reader, writer, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer reader.Close()
		lifelines = append(lifelines, writer)
		return startProcess(c, log, reader)
	})
}

// lifelines are the open ends of what keep started; the kernel closes them with
// the test binary. The caller of keep sees to it that only one calls at a time.
var lifelines []*os.File

// onFreePort starts a server and waits until it listens. Three ports are tried,
// since another process may take one meanwhile.
func onFreePort(tb testing.TB, configure func(addr string) command, start func(command) (*process, error)) string {
	tb.Helper()
	var err error
	for range 3 {
		addr := FreeAddr(tb)
		c := configure(addr)
		if err = give(c.dir, c.user); err != nil {
			break
		}
		var p *process
		if p, err = start(c); err != nil {
			break
		}
		if err = p.waitFor(addr); err == nil {
			return addr
		}
		err = fmt.Errorf("%s: %w\n%s", c.name, err, tail(p.log))
		if !errors.Is(err, errEnded) {
			break
		}
	}
	tb.Fatalf("legacytest: %v", err)
	return ""
}

// run runs a command to its end, as the servers' user, and returns its output.
func run(tb testing.TB, c command) string {
	tb.Helper()
	log, err := openLog(tb, c)
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	defer log.Close()
	if err := give(c.dir, c.user); err != nil {
		tb.Fatalf("legacytest: %s: %v", c.name, err)
	}
	p, err := startProcess(c, log, nil)
	if err != nil {
		tb.Fatalf("legacytest: %s: %v", c.name, err)
	}
	select {
	case <-p.exited:
	case <-time.After(startTime):
		p.end()
		tb.Fatalf("legacytest: %s: not done within %s\n%s", c.name, startTime, tail(log.Name()))
	}
	if err := p.cmd.Wait(); err != nil {
		tb.Fatalf("legacytest: %s: %v\n%s", c.name, err, tail(log.Name()))
	}
	return tail(log.Name())
}

// openLog opens the file that a command's output goes to; a failed test prints
// its end.
func openLog(tb testing.TB, c command) (*os.File, error) {
	tb.Helper()
	f, err := createLog(c)
	if err != nil {
		return nil, err
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("what %s printed:\n%s", c.name, tail(f.Name()))
		}
	})
	return f, nil
}

func createLog(c command) (*os.File, error) {
	name := filepath.Join(c.dir, "log-"+c.name+"-"+rand.Text())
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return f, f.Chmod(0o666) // some servers open /dev/stderr anew, as their own user
}

func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-logBytes):])
}
