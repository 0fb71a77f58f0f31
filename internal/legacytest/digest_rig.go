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
	addr := serveApache(tb, dir, "authn_core authn_file authz_user auth_digest", `<Directory DIR/docs>
	AuthType Digest
	AuthName "`+DigestRealm+`"
	AuthDigestProvider file
	AuthUserFile DIR/users
	Require valid-user
</Directory>
`)
	return &App{Server: Server{URL: "http://" + addr, Addr: addr, Dir: dir}, Accounts: accounts}
}
