package legacytest

import (
	"fmt"
	"testing"
)

// StartApache runs Apache httpd the way that reads most into a path: encoded
// slashes decoded, MultiViews (a missing ending is found), CGI with PATH_INFO.
// A connection may change to HTTP/2 in the clear.
func StartApache(tb testing.TB) *Tree {
	tb.Helper()
	needs(tb, "apache2-bin", "/usr/sbin/apache2")
	t := newTree(tb)
	t.Front = "/front.cgi"
	put(tb, t.Dir, map[string]string{
		"docs/front.cgi": fmt.Sprintf(frontCGI, t.Dir+"/docs"),
		"mime.types":     "text/plain txt\n",
	})
	return t.at(serve(tb, func(addr string) command {
		put(tb, t.Dir, map[string]string{"apache.conf": fmt.Sprintf(`ServerRoot %[1]s
ServerName %[2]s
Listen %[2]s
PidFile %[1]s/pid
ErrorLog /dev/stderr
LogLevel warn
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule negotiation_module /usr/lib/apache2/modules/mod_negotiation.so
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
LoadModule cgid_module /usr/lib/apache2/modules/mod_cgid.so
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
Protocols h2c http/1.1
H2Upgrade on
ScriptSock %[1]s/cgisock
TypesConfig %[1]s/mime.types
DocumentRoot %[1]s/docs
AllowEncodedSlashes On
<Directory %[1]s/docs>
	Require all granted
	Options +MultiViews +ExecCGI
	AcceptPathInfo On
	AddHandler cgi-script .cgi
</Directory>
`, t.Dir, addr)})
		return command{name: "apache", dir: t.Dir, user: webUser, argv: []string{
			"/usr/sbin/apache2", "-f", t.Dir + "/apache.conf", "-D", "FOREGROUND",
		}}
	}))
}
