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
	return t.at(serveApache(tb, t.Dir, "negotiation http2 cgid", `Protocols h2c http/1.1
H2Upgrade on
ScriptSock DIR/cgisock
AllowEncodedSlashes On
<Directory DIR/docs>
	Require all granted
	Options +MultiViews +ExecCGI
	AcceptPathInfo On
	AddHandler cgi-script .cgi
</Directory>
`))
}
