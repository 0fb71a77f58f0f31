package legacytest

import (
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
)

// mariadbUser runs MariaDB where the tests run as root.
const mariadbUser = "mysql"

// MariaDB is a database server. Its root has no password, and comes from this
// machine only.
type MariaDB struct {
	Addr   string // 127.0.0.1:PORT
	socket string
}

// mariadb is the one server of this test binary. It ends, and its folder goes,
// when the binary does.
var mariadb struct {
	sync.Mutex
	running *MariaDB
}

// StartMariaDB returns the test binary's MariaDB, which the first call starts
// in some seconds. It is safe for concurrent use.
func StartMariaDB(tb testing.TB) *MariaDB {
	tb.Helper()
	needs(tb, "mariadb-server", "/usr/sbin/mariadbd")
	needs(tb, "mariadb-client", "/usr/bin/mariadb")
	mariadb.Lock()
	defer mariadb.Unlock()
	if mariadb.running == nil {
		mariadb.running = startMariaDB(tb)
	}
	return mariadb.running
}

// mariadbScript runs the server until its standard input closes, as that of
// PostgreSQL does.
const mariadbScript = `
dir=$1 port=$2
/usr/sbin/mariadbd --no-defaults --datadir="$dir/data" --bind-address=127.0.0.1 --port="$port" --socket="$dir/socket" \
	--pid-file="$dir/pid" --skip-log-bin --skip-name-resolve --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=32M --innodb-log-file-size=8M </dev/null &
server=$!
cat >/dev/null
kill -TERM "$server"
wait "$server"
cd /
rm -rf "$dir"
`

func startMariaDB(tb testing.TB) *MariaDB {
	tb.Helper()
	dir, err := os.MkdirTemp("", "legacytest-mariadb-")
	if err != nil {
		tb.Fatalf("legacytest: mariadb: %v", err)
	}
	run(tb, command{name: "mariadb-install-db", dir: dir, user: mariadbUser, argv: []string{
		"/usr/bin/mariadb-install-db", "--no-defaults", "--datadir=" + dir + "/data", "--auth-root-authentication-method=normal",
		"--skip-test-db", "--innodb-log-file-size=8M",
	}})
	addr := keep(tb, func(addr string) command {
		return command{name: "mariadb", dir: dir, user: mariadbUser, argv: []string{"/bin/sh", "-c", mariadbScript, "mariadb", dir, portOf(addr)}}
	})
	return &MariaDB{Addr: addr, socket: dir + "/socket"}
}

// run runs statements as root.
func (m *MariaDB) run(tb testing.TB, statements ...string) {
	tb.Helper()
	run(tb, command{name: "mariadb", dir: newDir(tb), user: mariadbUser, argv: []string{
		"/usr/bin/mariadb", "--no-defaults", "--socket=" + m.socket, "--user=root", "--execute=" + strings.Join(statements, "; "),
	}})
}

// database makes an empty database that its own user alone may use, dropped
// after the test. Name and password are the same text.
func (m *MariaDB) database(tb testing.TB) (name string) {
	tb.Helper()
	name = "t" + strings.ToLower(rand.Text())
	m.run(tb, "CREATE DATABASE "+name, "CREATE USER "+name+"@'%' IDENTIFIED BY '"+name+"'", "GRANT ALL ON "+name+".* TO "+name+"@'%'")
	tb.Cleanup(func() { m.run(tb, "DROP DATABASE "+name, "DROP USER "+name+"@'%'") })
	return name
}
