package legacytest

import (
	"crypto/md5"
	"fmt"
	"testing"
)

// DigestRealm is what StartApacheDigest calls itself.
const DigestRealm = "Archive"

// StartApacheDigest runs Apache httpd with a folder of files for which it asks
// with HTTP Digest (mod_auth_digest). It has /index.html and /cases/1001.html.
func StartApacheDigest(tb testing.TB, _ Options) *App {
	tb.Helper()
	needs(tb, "apache2-bin", "/usr/sbin/apache2")
	dir := newDir(tb)
	accounts := []Account{{"joe", "dig-Pass1"}, {"ann", "dig-Pass2"}}
	var users string
	for _, a := range accounts {
		users += fmt.Sprintf("%s:%s:%x\n", a.Username, DigestRealm, md5.Sum([]byte(a.Username+":"+DigestRealm+":"+a.Password)))
	}
	put(tb, dir, map[string]string{
		"users": users, "mime.types": "text/html html\n",
		"docs/index.html": "<p>The archive</p>", "docs/cases/1001.html": "<p>Ashdown Mills v. Harte</p>",
	})
	addr := serve(tb, func(addr string) command {
		put(tb, dir, map[string]string{"apache.conf": fmt.Sprintf(`ServerRoot %[1]s
ServerName %[2]s
Listen %[2]s
PidFile %[1]s/pid
ErrorLog /dev/stderr
LogLevel warn
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authn_file_module /usr/lib/apache2/modules/mod_authn_file.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule auth_digest_module /usr/lib/apache2/modules/mod_auth_digest.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
DefaultRuntimeDir %[1]s
TypesConfig %[1]s/mime.types
DocumentRoot %[1]s/docs
<Directory %[1]s/docs>
	AuthType Digest
	AuthName "`+DigestRealm+`"
	AuthDigestProvider file
	AuthUserFile %[1]s/users
	Require valid-user
</Directory>
`, dir, addr)})
		return command{name: "apache", dir: dir, user: webUser, argv: []string{"/usr/sbin/apache2", "-f", dir + "/apache.conf", "-D", "FOREGROUND"}}
	})
	return &App{Server: Server{URL: "http://" + addr, Addr: addr, Dir: dir}, Accounts: accounts}
}
