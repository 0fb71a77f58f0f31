package legacytest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"testing"
)

// StartPgbouncer runs a pooler in transaction mode before the server that dsn
// leads to (a URL), and returns the DSN of the same database through it. Where
// dsn has a password, everybody becomes its user; else each the one they say.
// What dsn says behind the "?" of the server is lost, as a pooler loses it.
func StartPgbouncer(tb testing.TB, dsn string) string {
	tb.Helper()
	needs(tb, "pgbouncer", "/usr/sbin/pgbouncer")
	server, err := url.Parse(dsn)
	if err != nil {
		tb.Fatalf("legacytest: pgbouncer: %v", err)
	}
	host, port := server.Hostname(), server.Port()
	if folder := server.Query().Get("host"); folder != "" {
		host = folder
	}
	if port == "" {
		port = "5432"
	}
	user := server.User.Username()
	if name := server.Query().Get("user"); name != "" {
		user = name
	}
	as := " auth_user=" + user // who looks the others up
	if secret, ok := server.User.Password(); ok {
		as = " user=" + user + " password=" + secret
	}
	dir := newDir(tb)
	addr := serve(tb, func(addr string) command {
		listen, at, _ := net.SplitHostPort(addr)
		put(tb, dir, map[string]string{
			"users": fmt.Sprintf("%q \"\"\n", user),
			"pgbouncer.ini": fmt.Sprintf(`[databases]
* = host=%s port=%s%s
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s/users
pool_mode = transaction
default_pool_size = 20
server_idle_timeout = 2
max_client_conn = 200
ignore_startup_parameters = extra_float_digits,search_path
`, host, port, as, listen, at, dir)})
		if err := give(dir, postgresUser); err != nil {
			tb.Fatalf("legacytest: pgbouncer: %v", err)
		}
		return command{name: "pgbouncer", dir: dir, user: postgresUser, argv: []string{"/usr/sbin/pgbouncer", dir + "/pgbouncer.ini"}}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatalf("legacytest: pgbouncer: %v", err)
	}
	return (&url.URL{Scheme: "postgres", User: url.User(user), Host: addr, Path: server.Path, RawQuery: "sslmode=disable"}).String()
}
