package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// gateway is one process of the binary.
type gateway struct {
	dir, addr string
	process   *exec.Cmd
	ended     chan struct{} // closed when it has ended; nil where it is not ours to end
	// line is the Cookie line of joe, and told what the application is told of
	// him, where somebody has signed him in.
	line string
	told map[string]string
}

func (g *gateway) url() string { return "http://" + g.addr }

// gateway starts one with a Caddyfile, or finds the one that was started under
// that name. {{site}}, {{upstream}} and {{admin}} are filled in. prepare, if it is not
// nil, is called with the Caddyfile's path before the start.
func (b *bench) gateway(ctx context.Context, name, caddyfile string, prepare func(file string) error) (*gateway, error) {
	if g := b.gateways[name]; g != nil {
		return g, nil
	}
	port, err := b.freePort()
	if err != nil {
		return nil, err
	}
	g := &gateway{dir: filepath.Join(b.dir, strings.ReplaceAll(name, " ", "-")), addr: "localhost:" + strconv.Itoa(port)}
	if err := os.MkdirAll(g.dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(g.dir, "Caddyfile")
	text := strings.NewReplacer("{{site}}", g.url(), "{{upstream}}", b.upstream.says, "{{admin}}", g.admin()).Replace(caddyfile)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if prepare != nil {
		if err := prepare(file); err != nil {
			return nil, err
		}
	}
	b.gateways[name] = g
	return g, g.start(ctx, b.binary, file)
}

// freePort finds a port below those that connections go out from, which are
// many here.
func (b *bench) freePort() (int, error) {
	for b.port = max(b.port, 21_000); b.port < 22_000; {
		b.port++
		if l, err := net.Listen("tcp", ":"+strconv.Itoa(b.port)); err == nil {
			return b.port, l.Close()
		}
	}
	return 0, errors.New("no port is free")
}

func (g *gateway) start(ctx context.Context, binary, file string) error {
	log, err := os.Create(filepath.Join(g.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	g.process = exec.CommandContext(ctx, binary, "run", "--config", file)
	g.process.Env = append(os.Environ(), "XDG_DATA_HOME="+g.dir, "XDG_CONFIG_HOME="+g.dir)
	g.process.Stderr = log
	if err := g.process.Start(); err != nil {
		return err
	}
	g.ended = make(chan struct{})
	go func() {
		_ = g.process.Wait()
		close(g.ended)
	}()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && !g.over(); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.DialTimeout("tcp", g.addr, time.Second); err == nil {
			return conn.Close()
		}
	}
	said, _ := os.ReadFile(log.Name())
	return fmt.Errorf("does not listen on %s: %s", g.addr, said)
}

// over tells whether the process has ended.
func (g *gateway) over() bool {
	select {
	case <-g.ended:
		return true
	default:
		return false
	}
}

func (g *gateway) stop() {
	if g.ended != nil {
		_ = g.process.Process.Signal(syscall.SIGTERM)
		<-g.ended
	}
}

// admin is the socket of Caddy's admin endpoint, where the Caddyfile has one.
func (g *gateway) admin() string { return filepath.Join(g.dir, "admin") }

func (g *gateway) cpu() (time.Duration, error) { return cpu(g.process.Process.Pid) }
func (g *gateway) memory() (int64, error)      { return resident(g.process.Process.Pid) }
func (c *child) cpu() (time.Duration, error)   { return cpu(c.process.Process.Pid) }

// cpu is what a process has used so far, user and system and all threads, by
// its own clock (clock_getcpuclockid(3)): /proc counts in hundredths.
func cpu(pid int) (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|2), &t)
	return time.Duration(t.Nano()), err
}

// resident is the memory that a process holds, in bytes (proc(5)).
func resident(pid int) (int64, error) { return statusOf(pid, "VmRSS:") }

// statusOf is a size that the kernel tells of a process, in bytes.
func statusOf(pid int, field string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == field {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no " + field)
}

// live is what the process has alive in its heap once the collector has been
// through it. A profile of that goes to a file, where one is named.
func (g *gateway) live(profile string) (int64, error) {
	text, err := g.profile("debug=1")
	if err != nil {
		return 0, err
	}
	if profile != "" {
		compressed, err := g.profile("debug=0")
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(profile, compressed, 0o600); err != nil {
			return 0, err
		}
	}
	_, rest, _ := strings.Cut(string(text), "\n# HeapAlloc = ")
	number, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseInt(number, 10, 64)
}

// profile is the profile of the heap that Caddy's admin endpoint tells.
func (g *gateway) profile(form string) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", g.admin())
	}}}
	resp, err := client.Get("http://localhost/debug/pprof/heap?gc=1&" + form)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the profile of the heap: %s", resp.Status)
	}
	return io.ReadAll(resp.Body)
}
