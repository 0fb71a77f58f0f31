package legacytest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresUser runs PostgreSQL where the tests run as root, which it refuses.
const postgresUser = "postgres"

// cluster is the one PostgreSQL of this test binary. It ends, and its folder
// goes, when the binary does, however that happens.
var cluster struct {
	sync.Mutex
	dsn *url.URL // nil until it runs
}

// StartPostgres returns the DSN of an empty database of its own, dropped after
// the test. The first call of a test binary starts PostgreSQL, which takes some
// seconds and serves every later call; it is safe for concurrent use. Nothing
// is synced to disk, so a test of surviving a power cut needs another server.
func StartPostgres(tb testing.TB) (dsn string) {
	tb.Helper()
	needs(tb, "postgresql", "/usr/lib/postgresql/*/bin/initdb")
	cluster.Lock()
	defer cluster.Unlock()
	if cluster.dsn == nil {
		cluster.dsn = startCluster(tb)
	}
	own := *cluster.dsn
	own.Path = "/t_" + strings.ToLower(rand.Text())
	admin(tb, "CREATE DATABASE "+own.Path[1:])
	tb.Cleanup(func() { admin(tb, "DROP DATABASE "+own.Path[1:]+" WITH (FORCE)") })
	return own.String()
}

// admin runs one statement in the cluster's first database.
func admin(tb testing.TB, sql string) {
	tb.Helper()
	ctx := context.Background() // a test's own context has ended when it cleans up
	conn, err := pgx.Connect(ctx, cluster.dsn.String())
	if err != nil {
		tb.Fatalf("legacytest: postgres: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		tb.Fatalf("legacytest: postgres: %s: %v", sql, err)
	}
}

// clusterScript runs PostgreSQL until its standard input closes, which is when
// the test binary ends; then it stops the server and removes the folder.
const clusterScript = `
bin=$1 dir=$2 port=$3
"$bin/postgres" -D "$dir/data" -h 127.0.0.1 -p "$port" -k "$dir" \
	-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 -c timezone=UTC </dev/null &
server=$!
cat >/dev/null
kill -INT "$server"
wait "$server"
cd /
rm -rf "$dir"
`

// startCluster makes and starts a cluster and waits until it answers queries.
func startCluster(tb testing.TB) *url.URL {
	tb.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		tb.Fatalf("legacytest: postgres: no server below /usr/lib/postgresql: %v", err)
	}
	bin := found[len(found)-1]
	dir, err := os.MkdirTemp("", "legacytest-postgres-")
	if err != nil {
		tb.Fatalf("legacytest: postgres: %v", err)
	}
	password := rand.Text()
	put(tb, dir, map[string]string{"password": password})
	run(tb, command{name: "initdb", dir: dir, user: postgresUser, argv: []string{
		bin + "/initdb", "-D", dir + "/data", "-U", "stepgate", "--auth=scram-sha-256", "--pwfile=" + dir + "/password",
		"--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
	}})
	addr := keep(tb, func(addr string) command {
		return command{name: "postgres", dir: dir, user: postgresUser, argv: []string{
			"/bin/sh", "-c", clusterScript, "postgres", bin, dir, portOf(addr),
		}}
	})
	dsn := &url.URL{
		Scheme: "postgres", User: url.UserPassword("stepgate", password), Host: addr, Path: "/postgres", RawQuery: "sslmode=disable",
	}
	if err := answers(dsn.String()); err != nil {
		tb.Fatalf("legacytest: postgres: %v", err)
	}
	return dsn
}

func answers(dsn string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			return conn.Close(ctx)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no answer within %s: %w", startTime, err)
		}
		time.Sleep(pollEvery)
	}
}
