package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
)

// spec prepares some rows.
type spec struct {
	name    string
	prepare func(ctx context.Context, b *bench, name string) error
}

// signedIn is the row that others are compared with besides bare and floor.
const signedIn = "signed in, 200 rules"

func specs(o options) []spec {
	all := []spec{
		{signedIn, local(kind{rules: 200})},
		{"public path, stranger", public},
		{"1 rule", local(kind{rules: 1})},
		{"100,000 rules", local(kind{rules: 100_000})},
		{"risk on", local(kind{rules: 200, more: "\t\t\traise mfa when risk high\n"})},
		{"welded", local(kind{rules: 200, block: watched})},
		{"sealed", local(kind{rules: 200, block: strings.Replace(watched, "login_page", "seal_cookies\n\t\t\tlogin_page", 1)})},
		{"sessions", manySessions},
		{"1 MiB", local(kind{rules: 200, large: true})},
		{"HTTP/2", local(kind{rules: 200, h2: true})},
	}
	if o.postgres != "" {
		all = append(all, spec{"PostgreSQL, signed in", local(kind{rules: 200, store: "postgres"})})
	}
	all = append(all, spec{"10 MiB", uploads})
	for _, p := range o.peers {
		all = append(all, spec{p.name, p.prepare})
	}
	all = append(all, spec{"sign-in", signIns(onSQLite)}, spec{"code", codes(onSQLite)})
	if o.postgres != "" {
		all = append(all, spec{"PostgreSQL, sign-in", signIns("postgres")}, spec{"PostgreSQL, code", codes("postgres")})
	}
	return all
}

// kind is how a gateway differs from others.
type kind struct {
	rules     int
	more      string // lines of the policy
	block     string // lines of the site's block
	store     string // onSQLite for none
	large, h2 bool
}

const accountPassword = "a pass phrase for the benchmark"

// addAccount adds joe to the store that a Caddyfile names.
func addAccount(ctx context.Context, binary string) func(file string) error {
	return func(file string) error {
		add := exec.CommandContext(ctx, binary, "user", "add", "joe", "--name", "Joe Bloggs", "--email", "joe@example.test", "--group", "staff", "--password-stdin", "--config", file)
		add.Stdin = strings.NewReader(accountPassword)
		if out, err := add.CombinedOutput(); err != nil {
			return fmt.Errorf("add an account: %w: %s", err, out)
		}
		return nil
	}
}

// storeLine is what a Caddyfile says of a store; each PostgreSQL is a schema of
// its own.
func (b *bench) storeLine(ctx context.Context, store, name string) (string, error) {
	if store != "postgres" {
		return onSQLite, nil
	}
	schema := "bench_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
	dsn, err := makeSchema(ctx, b.postgres, schema)
	return "postgres " + strconv.Quote(dsn), err
}

// gate starts a gateway of a kind, or finds it, and has joe signed in there.
func (b *bench) gate(ctx context.Context, name string, k kind) (*gateway, error) {
	if g := b.gateways[name]; g != nil {
		return g, nil
	}
	store, err := b.storeLine(ctx, k.store, name)
	if err != nil {
		return nil, err
	}
	prepare, enter := addAccount(ctx, b.binary), func(who *browser) (http.Header, error) { return who.signIn("joe", accountPassword) }
	if strings.Contains(k.block, "legacy_form") { // whose people become accounts by themselves
		prepare, enter = nil, (*browser).atApp
	}
	g, err := b.gateway(ctx, name, gated(store, k.h2, k.block, rules(k.rules)+k.more), prepare)
	if err != nil {
		return nil, err
	}
	who, err := newBrowser(g.url(), 1)
	if err != nil {
		return nil, err
	}
	defer who.close()
	seen, err := enter(who)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	g.told = identity(seen)
	g.line, err = who.cookies()
	if !strings.Contains(g.line, "PORTALSESSID") {
		g.line = appCookie + "; " + g.line
	}
	return g, err
}

// local has a row of somebody who is signed in, with a second factor.
func local(k kind) func(ctx context.Context, b *bench, name string) error {
	return func(ctx context.Context, b *bench, name string) error {
		of := name
		if k.large { // as bare and floor, one process answers at both sizes
			of = signedIn
		}
		g, err := b.gate(ctx, of, k)
		if err != nil {
			return err
		}
		beside, err := b.beside(ctx, k.large, k.h2, false)
		if err != nil {
			return err
		}
		if plain := b.find(signedIn); plain != nil && !k.large && !k.h2 {
			beside = append(beside, plain)
		}
		b.add(&row{name: name, beside: beside}, g, b.ask(g, g.line, k.large, k.h2))
		return nil
	}
}

func (b *bench) ask(g *gateway, line string, isLarge, h2 bool) *load {
	l := &load{addr: g.addr, path: "/cases/1?page=2", cookies: []string{line}, size: small, h2: h2, requests: b.requests, parallel: b.parallel}
	if isLarge {
		l.path, l.size, l.requests = "/cases/large?page=2", large, max(b.requests/20, b.parallel)
	}
	return l
}

func (b *bench) find(name string) *row {
	for _, r := range b.rows {
		if r.name == name {
			return r
		}
	}
	return nil
}

func (b *bench) add(r *row, g *gateway, l *load) *row {
	r.memory = g.memory
	first := *l // wakes a process that has rested, and is not counted
	first.requests = l.parallel * 4
	r.take = func() (turn, error) {
		if _, err := first.send(); err != nil {
			return turn{}, err
		}
		return around(g.cpu, l.requests, l.send)
	}
	b.rows = append(b.rows, r)
	return r
}

// beside are the rows of the bare proxy and of the floor, for answers of a
// size, a protocol, and somebody with or without a session.
func (b *bench) beside(ctx context.Context, isLarge, h2, stranger bool) ([]*row, error) {
	suffix := ""
	for _, s := range []struct {
		is   bool
		says string
	}{{isLarge, ", 1 MiB"}, {h2, ", HTTP/2"}, {stranger, ", stranger"}} {
		if s.is {
			suffix += s.says
		}
	}
	var found []*row
	main, err := b.gate(ctx, signedIn, kind{rules: 200})
	if err != nil {
		return nil, err
	}
	line, sites := main.line, map[string]map[string]string{"bare": nil, "floor": main.told}
	names := []string{"bare", "floor"}
	if stranger {
		names, line = names[:1], appCookie
	}
	process := ""
	if h2 {
		process = ", HTTP/2"
	}
	for _, name := range names {
		r := b.find(name + suffix)
		if r == nil {
			g, err := b.gateway(ctx, name+process, plain(h2, sites[name]), nil)
			if err != nil {
				return nil, err
			}
			r = b.add(&row{name: name + suffix, beside: found}, g, b.ask(g, line, isLarge, h2))
		}
		found = append(found, r)
	}
	return found, nil
}

const appCookie = "PORTALSESSID=0123456789abcdef"

// public has a row of a path that needs nothing, asked for by nobody known.
func public(ctx context.Context, b *bench, name string) error {
	g, err := b.gate(ctx, signedIn, kind{rules: 200})
	if err != nil {
		return err
	}
	beside, err := b.beside(ctx, false, false, true)
	if err != nil {
		return err
	}
	l := b.ask(g, appCookie, false, false)
	l.path = "/assets/page?page=2"
	b.add(&row{name: name, beside: beside}, g, l)
	return nil
}

// manySessions has two rows of one gateway: all requests by one person, and by
// many in turn.
func manySessions(ctx context.Context, b *bench, _ string) error {
	site := gated(onSQLite, false, trusted, "\t\t\trequire signed_in /cases/*\n")
	g, err := b.gateway(ctx, "sessions", strings.Replace(site, "admin off", "admin unix/{{admin}}", 1), nil)
	if err != nil {
		return err
	}
	lines := make([]string, b.sessions)
	var begun atomic.Int64
	_, err = each(64, b.sessions, func(worker, i int) error {
		who, err := newBrowser(g.url(), worker)
		if err != nil {
			return err
		}
		defer who.close()
		who.named = fmt.Sprint("person", i)
		if _, err := who.arrive(); err != nil {
			return err
		}
		if n := begun.Add(1); n%1000 == 0 {
			fmt.Fprintf(os.Stderr, "\r%d sessions", n)
		}
		line, err := who.cookies()
		lines[i] = appCookie + "; " + line
		return err
	})
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return err
	}
	beside, err := b.beside(ctx, false, false, false)
	if err != nil {
		return err
	}
	for _, cookies := range [][]string{lines[:1], lines} {
		l := b.ask(g, "", false, false)
		l.cookies, l.named = cookies, "person"
		b.add(&row{name: "sessions: " + grouped(len(cookies)), beside: beside, live: func() (int64, error) { return g.live(b.heap) }}, g, l)
	}
	return nil
}

// peer is another gateway that runs already, in front of the same application.
type peer struct {
	name, cookies string
	gateway       *gateway
}

func (o *options) addPeer(text string) error {
	fields := strings.SplitN(text, ",", 4)
	if len(fields) != 4 {
		return fmt.Errorf("expected NAME,PID,ADDRESS,COOKIES")
	}
	pid, err := strconv.Atoi(fields[1])
	if err != nil {
		return err
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	o.peers = append(o.peers, peer{name: fields[0], cookies: fields[3], gateway: &gateway{addr: fields[2], process: &exec.Cmd{Process: process}}})
	return nil
}

func (p peer) prepare(ctx context.Context, b *bench, name string) error {
	beside, err := b.beside(ctx, false, false, false)
	if err != nil {
		return err
	}
	if plain := b.find(signedIn); plain != nil {
		beside = append(beside, plain)
	}
	b.add(&row{name: name, beside: beside}, p.gateway, b.ask(p.gateway, p.cookies, false, false))
	return nil
}
