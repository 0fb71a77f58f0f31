package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cost is what something took: CPU time of the whole process, and its peak
// memory. wall is there where somebody waits for it, left the memory that a
// gateway has afterwards.
type cost struct {
	cpu, wall  time.Duration
	peak, left int64 // bytes
}

func (c cost) String() string {
	text := fmt.Sprintf("%.2f s", c.cpu.Seconds())
	if c.wall > 0 {
		text += fmt.Sprintf(" (%.2f s)", c.wall.Seconds())
	}
	text += fmt.Sprintf(", %d MB", c.peak/1e6)
	if c.left > 0 {
		text += fmt.Sprintf(", then %d MB", c.left/1e6)
	}
	return text
}

// one is one thing to measure.
type one struct {
	name    string
	measure func() (cost, error)
}

// names are in the order of the report.
var names = []string{
	"`awk '{print $2}'` of the Caddyfile", "`validate`", "start, until the first answer", "reload", "ten reloads more",
	"`policy explain`", "`policy lint`", "`policy test --coverage`", "`policy diff`", "`awk '{print $7}'` of the log", "`policy rehearse`",
}

func measured(binary string, f files) []one {
	g := &gateway{binary: binary, files: f}
	command := func(args ...string) func() (cost, error) {
		return func() (cost, error) { return runCommand(args...) }
	}
	all := []func() (cost, error){
		command("awk", "{print $2}", f.old),
		command(binary, "validate", "--config", f.old),
		g.start, g.reload, g.reloadOften,
		command(binary, "policy", "explain", "/app0/mod3/x", "--config", f.old),
		command(binary, "policy", "lint", "--config", f.old),
		command(binary, "policy", "test", "--coverage", f.assertions, "--config", f.old),
		command(binary, "policy", "diff", f.old, f.changed),
		command("awk", "{print $7}", f.log),
		command(binary, "policy", "rehearse", f.log, "--config", f.old),
	}
	var list []one
	for i, name := range names {
		list = append(list, one{name, all[i]})
	}
	return list
}

// runCommand runs a command to its end. That its answer is no (exit 1) is an
// answer.
func runCommand(args ...string) (cost, error) {
	c := exec.Command(args[0], args[1:]...)
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return cost{}, err
	}
	usage := c.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime(), peak: usage.Maxrss << 10}, nil
}

// gateway is one that is started, reloaded and stopped.
type gateway struct {
	binary  string
	files   files
	process *exec.Cmd
}

func (g *gateway) start() (cost, error) {
	g.process = exec.Command(g.binary, "run", "--config", g.files.old)
	began := time.Now()
	if err := g.process.Start(); err != nil {
		return cost{}, err
	}
	for deadline := began.Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		r, err := http.Get("http://" + siteAddress + "/.stepgate/status")
		if err == nil {
			r.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			_ = g.process.Process.Kill()
			return cost{}, fmt.Errorf("the gateway does not answer: %w", err)
		}
	}
	wall := time.Since(began)
	time.Sleep(time.Second) // it compares and notes its configuration by the side
	c, err := g.usage()
	c.wall = wall
	return c, err
}

// reload takes over the other configuration, and notes what it made weaker.
func (g *gateway) reload() (cost, error) {
	before, err := g.usage()
	if err != nil {
		return cost{}, err
	}
	began := time.Now()
	if err := g.load(g.files.changed); err != nil {
		return cost{}, err
	}
	wall := time.Since(began)
	time.Sleep(2 * time.Second)
	after, err := g.usage()
	after.cpu -= before.cpu
	after.wall = wall
	return after, err
}

// load reloads as the command does, which adapts in a process of its own.
func (g *gateway) load(file string) error {
	return exec.Command(g.binary, "reload", "--config", file, "--address", adminAddress, "--force").Run()
}

// reloadOften reloads again and again, stops the gateway, and tells what
// memory it had at the end.
func (g *gateway) reloadOften() (cost, error) {
	before, err := g.usage()
	if err != nil {
		return cost{}, err
	}
	for i := range 10 {
		if err := g.load([]string{g.files.old, g.files.changed}[i%2]); err != nil {
			return cost{}, err
		}
	}
	time.Sleep(5 * time.Second)
	after, err := g.usage()
	after.cpu -= before.cpu
	return after, errors.Join(err, g.stop())
}

func (g *gateway) stop() error {
	if err := g.process.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = g.process.Process.Kill() })
	return g.process.Wait()
}

// usage is what the process has taken until now.
func (g *gateway) usage() (cost, error) {
	pid := strconv.Itoa(g.process.Process.Pid)
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return cost{}, err
	}
	var c cost
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, ticks := range fields[11:13] { // utime, stime; proc(5)
		n, _ := strconv.ParseInt(ticks, 10, 64)
		c.cpu += time.Duration(n) * (time.Second / 100)
	}
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return cost{}, err
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			c.peak = kilobytes << 10
		}
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); n == 1 {
			c.left = kilobytes << 10
		}
	}
	return c, nil
}
