package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

type options struct {
	binary   string
	rounds   int
	requests int
	parallel int
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "", "the gateway's binary")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds; each measures every variant once")
	flag.IntVar(&o.requests, "requests", 30000, "requests of a variant in a round")
	flag.IntVar(&o.parallel, "parallel", 16, "connections")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.binary == "" {
		return errors.New("name the gateway's binary with -binary")
	}
	dir, err := os.MkdirTemp("", "stepgate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	upstream, err := startUpstream()
	if err != nil {
		return err
	}
	defer upstream.Close()
	variants, err := startAll(ctx, o, dir, upstream.Addr().String())
	for _, v := range variants {
		defer v.stop()
	}
	if err != nil {
		return err
	}
	for _, v := range variants { // warm up: connections, caches, the assertion
		if _, err := v.measure(o.parallel, o.requests/10); err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
	}
	for round := range o.rounds {
		for i := range variants {
			v := variants[(round+i)%len(variants)]
			cost, err := v.measure(o.parallel, o.requests)
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			v.costs = append(v.costs, cost)
		}
	}
	report(variants)
	return nil
}

// answer is what the upstream says: a small page.
var answer = bytes.Repeat([]byte("<p>A page of the old portal.</p>\n"), 60)

func startUpstream() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(answer)
	}))
	return l, nil
}

const head = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	stepgate {
		store sqlite bench.db
	}
}
`

// startAll starts the gate first: the floor sets what the gate was seen to
// set, and all receive the gate's cookie.
func startAll(ctx context.Context, o options, dir, upstream string) ([]*variant, error) {
	gate := &variant{name: "gate", dir: filepath.Join(dir, "gate")}
	bare := &variant{name: "bare", dir: filepath.Join(dir, "bare")}
	floor := &variant{name: "floor", dir: filepath.Join(dir, "floor")}
	variants := []*variant{bare, floor, gate}
	for _, v := range variants {
		if err := v.place(); err != nil {
			return variants, err
		}
	}
	if err := gate.run(ctx, o.binary, head+gate.url()+" {\n\tstepgate {\n\t\tpolicy {\n"+rules(200)+"\t\t}\n\t}\n\treverse_proxy "+upstream+"\n}\n", true); err != nil {
		return variants, err
	}
	cookie, identity, err := gate.signIn(upstream)
	if err != nil {
		return variants, fmt.Errorf("sign in: %w", err)
	}
	var set strings.Builder
	for name, value := range identity {
		fmt.Fprintf(&set, "\t\theader_up %s %q\n", name, value)
	}
	if err := bare.run(ctx, o.binary, head+bare.url()+" {\n\treverse_proxy "+upstream+"\n}\n", false); err != nil {
		return variants, err
	}
	err = floor.run(ctx, o.binary, head+floor.url()+" {\n\treverse_proxy "+upstream+" {\n"+set.String()+"\t}\n}\n", false)
	for _, v := range variants {
		v.cookie = cookie
	}
	return variants, err
}

// rules are what a portal of some size has.
func rules(n int) string {
	var b strings.Builder
	b.WriteString("\t\t\tpublic /assets/* /favicon.ico\n\t\t\trequire mfa /cases/*\n")
	for i := range n - 3 {
		fmt.Fprintf(&b, "\t\t\trequire mfa POST /module%d/*/edit /module%d/reports/*.pdf\n", i, i)
	}
	return b.String()
}

func report(variants []*variant) {
	fmt.Printf("CPU of the gateway for 100,000 requests, %d rounds, median and range:\n", len(variants[0].costs))
	for _, v := range variants {
		fmt.Printf("  %-6s %6.2f s  (%.2f to %.2f)\n", v.name, median(v.costs), slices.Min(v.costs), slices.Max(v.costs))
	}
	bare, floor, gate := variants[0], variants[1], variants[2]
	fmt.Println("ratios, round by round:")
	for _, pair := range [][2]*variant{{gate, floor}, {gate, bare}, {floor, bare}} {
		ratios := make([]float64, len(pair[0].costs))
		for i := range ratios {
			ratios[i] = pair[0].costs[i] / pair[1].costs[i]
		}
		fmt.Printf("  %s / %-6s %.3f  (%.3f to %.3f)\n", pair[0].name, pair[1].name, median(ratios), slices.Min(ratios), slices.Max(ratios))
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// waitReady polls until a gateway answers.
func waitReady(addr string, process *exec.Cmd) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return conn.Close()
		}
	}
	return fmt.Errorf("process %d does not listen on %s", process.Process.Pid, addr)
}
