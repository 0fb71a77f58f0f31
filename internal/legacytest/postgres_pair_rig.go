package legacytest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// PostgresPair is a server and its synchronous standby: a commit is
// acknowledged once both have it on disk.
type PostgresPair struct {
	Primary, Standby *PostgresNode
}

// PostgresNode is one server of a pair.
type PostgresNode struct {
	Addr string // 127.0.0.1:PORT

	tb      testing.TB
	bin     string
	dir     string
	running *process // nil while it does not run
}

// StartPostgresPair starts both. Anybody on the loopback is let in as
// "stepgate"; the database is "postgres". Unlike StartPostgres it does sync.
func StartPostgresPair(tb testing.TB) *PostgresPair {
	tb.Helper()
	needs(tb, "postgresql", "/usr/lib/postgresql/*/bin/initdb")
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	bin := found[len(found)-1]
	primary, standby := newPostgresNode(tb, bin), newPostgresNode(tb, bin)
	run(tb, command{name: "initdb", dir: primary.dir, user: postgresUser, argv: []string{
		bin + "/initdb", "-D", primary.dir + "/data", "-U", "stepgate", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
	}})
	primary.Start()
	run(tb, command{name: "pg_basebackup", dir: standby.dir, user: postgresUser, argv: []string{
		bin + "/pg_basebackup", "-D", standby.dir + "/data", "-R", "-X", "stream", "--no-sync", "--checkpoint=fast",
		"-d", "host=127.0.0.1 port=" + portOf(primary.Addr) + " user=stepgate application_name=standby",
	}})
	standby.Start()
	primary.Exec("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
	primary.Exec("SELECT pg_reload_conf()")
	return &PostgresPair{primary, standby}
}

// DSN leads to whichever of the two takes writes, by the addresses of proxies
// where there are some.
func (p *PostgresPair) DSN(through func(addr string) string) string {
	if through == nil {
		through = func(addr string) string { return addr }
	}
	return fmt.Sprintf("postgres://stepgate@%s,%s/postgres?sslmode=disable&target_session_attrs=read-write&connect_timeout=2",
		through(p.Primary.Addr), through(p.Standby.Addr))
}

// FailOver kills the primary and has the standby take its place, alone.
func (p *PostgresPair) FailOver() {
	p.Primary.Kill()
	p.Standby.Exec("SELECT pg_promote()")
	p.Standby.Exec("ALTER SYSTEM SET synchronous_standby_names = ''")
	p.Standby.Exec("SELECT pg_reload_conf()")
}

func newPostgresNode(tb testing.TB, bin string) *PostgresNode {
	tb.Helper()
	return &PostgresNode{Addr: FreeAddr(tb), tb: tb, bin: bin, dir: newDir(tb)}
}

// Start starts the server where it was, and waits until it answers.
func (n *PostgresNode) Start() {
	n.tb.Helper()
	// A standby writes its own settings into the copy of the primary's.
	c := command{name: "postgres", dir: n.dir, user: postgresUser, argv: []string{
		n.bin + "/postgres", "-D", n.dir + "/data", "-h", "127.0.0.1", "-p", portOf(n.Addr), "-k", n.dir,
		"-c", "wal_level=replica", "-c", "max_connections=100", "-c", "timezone=UTC",
		"-c", "dynamic_shared_memory_type=mmap", // in its folder, so that nothing stays of one that is killed
	}}
	log, err := openLog(n.tb, c)
	if err != nil {
		n.tb.Fatalf("legacytest: postgres: %v", err)
	}
	defer log.Close()
	if err := give(n.dir, postgresUser); err != nil {
		n.tb.Fatalf("legacytest: postgres: %v", err)
	}
	p, err := startProcess(c, log, nil)
	if err != nil {
		n.tb.Fatalf("legacytest: %v", err)
	}
	n.running = p
	n.tb.Cleanup(n.end)
	if err := answers(n.dsn()); err != nil {
		n.tb.Fatalf("legacytest: postgres: %v", err)
	}
}

func (n *PostgresNode) dsn() string {
	return "postgres://stepgate@" + n.Addr + "/postgres?sslmode=disable"
}

// end ends the server if it runs, so that it gives back what it shares.
func (n *PostgresNode) end() {
	if n.running != nil {
		n.running.end()
		n.running = nil
	}
}

// Kill ends the server as a power cut would. It may run again with Start.
func (n *PostgresNode) Kill() {
	if n.running == nil {
		return
	}
	_ = syscall.Kill(-n.running.cmd.Process.Pid, syscall.SIGKILL)
	_ = n.running.cmd.Wait()
	n.running = nil
	// Its lock names a process that is no more, and may be another's soon.
	_ = os.Remove(filepath.Join(n.dir, "data", "postmaster.pid"))
}

// Exec runs a statement.
func (n *PostgresNode) Exec(statement string) {
	n.tb.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, n.dsn())
	if err == nil {
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, statement)
	}
	if err != nil {
		n.tb.Fatalf("legacytest: postgres: %s: %v", statement, err)
	}
}
