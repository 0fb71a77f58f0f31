package legacytest

import "testing"

// phpServer is PHP's own web server over docroot with four workers, because a
// single one would wait for itself where a page calls its own site. args go
// before it, router (may be empty) behind.
func phpServer(name, dir, docroot, router string, args ...string) func(addr string) command {
	return func(addr string) command {
		argv := append([]string{
			"php", "-d", "session.save_path=" + dir, "-d", "upload_tmp_dir=" + dir, "-d", "display_errors=0",
			"-d", "log_errors=1",
		}, args...)
		argv = append(argv, "-S", addr, "-t", docroot)
		if router != "" {
			argv = append(argv, router)
		}
		return command{name: name, dir: dir, user: webUser, env: []string{"PHP_CLI_SERVER_WORKERS=4"}, argv: argv}
	}
}

// needsPHP skips or fails unless PHP and the extensions are there. An extension
// is a file's name and the Debian package it comes from.
func needsPHP(tb testing.TB, extensions map[string]string) {
	tb.Helper()
	needs(tb, "php-cli", "/usr/bin/php")
	for file, debian := range extensions {
		needs(tb, debian, "/usr/lib/php/*/"+file+".so")
	}
}
