// Package legacytest starts real legacy applications and servers for
// integration tests: wikis, an LDAP tool, web servers that each read a path
// their own way, a directory, a database, a mail server. Each rig is one Start
// function in a file called *_rig.go.
//
// It owns finding the Debian packages, temporary folders, free ports, starting,
// waiting, captured output, and ending what it started. It knows nothing of the
// gateway, imports nothing of ours, and is imported by tests only.
//
//	StartDokuWiki StartMediaWiki StartShaarli StartPHPLDAPAdmin   an App with a login form
//	StartApache StartNginx StartLighttpd StartTomcat StartPHP StartWSGI   a Tree of files
//	StartPrometheus   a Prometheus that asks the gateway
//	StartDirectory    slapd with people and groups
//	StartPostgres     an empty database
//	StartMail         SMTP with STARTTLS and AUTH, in this process
//
// Everything listens on a free port of 127.0.0.1 and ends with the test. The
// servers run as www-data (PostgreSQL as postgres) where the tests run as root,
// else as whoever runs the tests. A process is ended through its own process
// group, and by the kernel if the test binary dies first.
//
// Where a Debian package is missing the test is skipped, with the package's
// name; where STEPGATE_TEST_REQUIRE is set it fails instead.
// scripts/install-test-packages installs them all. The rigs need Linux.
package legacytest
