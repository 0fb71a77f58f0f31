package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/mattn/go-sqlite3"
	"golang.org/x/crypto/argon2"
)

// child is a process of this program that does one thing: it says a line when
// it is ready, and answers each number that it is told with a line once it has
// done that as many times.
type child struct {
	process *exec.Cmd
	says    string // its first line
	to      io.WriteCloser
	from    *bufio.Reader
}

// childs are what a child may be, by the program's first argument.
var childs = map[string]func(args []string) error{"upstream": serveApp, "argon2id": hash, "commits": commit, "write": write}

func (b *bench) child(args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{process: exec.Command(self, args...)}
	c.process.Stderr = os.Stderr
	if c.to, err = c.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.from = bufio.NewReader(out)
	if err := c.process.Start(); err != nil {
		return nil, err
	}
	b.children = append(b.children, c)
	c.says, err = c.line()
	return c, err
}

func (c *child) line() (string, error) {
	line, err := c.from.ReadString('\n')
	return strings.TrimSpace(line), err
}

// do has the child do its thing n times.
func (c *child) do(n int) error {
	if _, err := fmt.Fprintln(c.to, n); err != nil {
		return err
	}
	said, err := c.line()
	if err == nil && said != "done" {
		err = errors.New(said)
	}
	return err
}

func (c *child) stop() {
	_ = c.to.Close()
	_ = c.process.Process.Kill()
	_ = c.process.Wait()
}

// obey does what it is told on standard input, until that ends.
func obey(parallel int, one func(worker int) error) error {
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		if _, err := each(parallel, n, func(worker, _ int) error { return one(worker) }); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("done")
	}
	return nil
}

// hash computes argon2id at the cost that the gateway has, as many at once as
// the gateway does.
func hash([]string) error {
	return obey(2, func(int) error {
		argon2.IDKey([]byte(accountPassword), []byte("sixteen bytes of"), 2, 19*1024, 1, 32)
		return nil
	})
}

// commit commits a row at a time to a database of the kind that is named.
func commit(args []string) error {
	open := openSQLite
	if args[0] == "postgres" {
		open = openPostgres
	}
	const writers = 12 // as many connections as the gateway writes by
	insert := make([]func() error, writers)
	for i := range insert {
		var err error
		if insert[i], err = open(args[1]); err != nil {
			return err
		}
		if args[0] == "sqlite" { // which has one writer
			return obey(1, func(int) error { return insert[0]() })
		}
	}
	return obey(writers, func(worker int) error { return insert[worker]() })
}

const (
	makeTable = `CREATE TABLE IF NOT EXISTS raw_commit (note TEXT)`
	insertRow = `INSERT INTO raw_commit (note) VALUES ('one row of some hundred bytes, which is about as long as an event of the audit trail is, with the name of it and an address')`
)

// openSQLite uses the driver itself, with the settings that the gateway has.
func openSQLite(path string) (func() error, error) {
	conn, err := (&sqlite3.SQLiteDriver{}).Open("file:" + path + "?_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		return nil, err
	}
	exec := func(query string) error {
		_, err := conn.(driver.ExecerContext).ExecContext(context.Background(), query, nil)
		return err
	}
	return func() error { return exec(insertRow) }, exec(makeTable)
}

func openPostgres(dsn string) (func() error, error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	exec := func(query string) error {
		_, err := conn.Exec(ctx, query)
		return err
	}
	return func() error { return exec(insertRow) }, errors.Join(exec(`SET synchronous_commit = on`), exec(makeTable))
}

// appPassword is joe's at the application.
const appPassword = "old-Pass1"

// serveApp is the application: pages of 1 KiB, pages of 1 MiB below /large,
// a login form, /cases/upload, which reads a form, and /cases/echo, which tells
// what it was asked with.
func serveApp(args []string) error {
	address := "127.0.0.1:0"
	if len(args) > 0 && args[0] != "" {
		address = args[0]
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() { // ends with the one who started it
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(l, http.HandlerFunc(app))
}

const small, large = 1 << 10, 1 << 20

var filling = bytes.Repeat([]byte("<p>A page of the old portal.</p>"), large/32)

func app(w http.ResponseWriter, r *http.Request) {
	size := small
	switch {
	case r.URL.Path == "/cases/upload":
		_, _ = io.Copy(io.Discard, r.Body)
		return
	case r.URL.Path == "/cases/echo":
		_ = json.NewEncoder(w).Encode(r.Header)
		return
	case r.URL.Path == "/profile.php":
		fmt.Fprint(w, "Signed in as <b>joe</b>")
		return
	case r.URL.Path == "/login.php" && r.Method == http.MethodPost:
		if r.FormValue("user") != "joe" || r.FormValue("pass") != appPassword {
			fmt.Fprint(w, "Invalid password")
			return
		}
		w.Header().Set("Set-Cookie", "PORTALSESSID=0123456789abcdef; Path=/")
		http.Redirect(w, r, "/home", http.StatusFound)
		return
	case strings.HasPrefix(r.URL.Path, "/cases/large"):
		size = large
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(size))
	_, _ = w.Write(filling[:size])
}

func parseEcho(text string) (seen http.Header, err error) {
	err = json.Unmarshal([]byte(text), &seen)
	return seen, err
}
