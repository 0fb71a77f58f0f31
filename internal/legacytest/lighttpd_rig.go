package legacytest

import (
	"fmt"
	"testing"
)

// StartLighttpd runs lighttpd with CGI, and with file names in lower case
// whatever the request says: the one server here to which /SECRET is /secret.
func StartLighttpd(tb testing.TB) *Tree {
	tb.Helper()
	needs(tb, "lighttpd", "/usr/sbin/lighttpd")
	t := newTree(tb)
	t.Front = "/front.cgi"
	put(tb, t.Dir, map[string]string{"docs/front.cgi": fmt.Sprintf(frontCGI, t.Dir+"/docs")})
	return t.at(serve(tb, func(addr string) command {
		put(tb, t.Dir, map[string]string{"lighttpd.conf": fmt.Sprintf(`server.document-root = "%[1]s/docs"
server.bind = "127.0.0.1"
server.port = %[2]s
server.modules = ( "mod_cgi" )
server.upload-dirs = ( "%[1]s" )
server.force-lowercase-filenames = "enable"
cgi.assign = ( ".cgi" => "/bin/sh" )
mimetype.assign = ( ".txt" => "text/plain" )
`, t.Dir, portOf(addr))})
		return command{name: "lighttpd", dir: t.Dir, user: webUser, argv: []string{
			"/usr/sbin/lighttpd", "-D", "-f", t.Dir + "/lighttpd.conf",
		}}
	}))
}
