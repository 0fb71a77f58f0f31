package legacytest

import "testing"

// StartWSGI runs a Python program under wsgiref, which gives it the path
// decoded once. Like many such programs it strips slashes, resolves dot
// segments and cares for nothing else. The program is the whole site.
func StartWSGI(tb testing.TB) *Tree {
	tb.Helper()
	needs(tb, "python3", "/usr/bin/python3")
	t := newTree(tb)
	t.Front = "/front"
	put(tb, t.Dir, map[string]string{"app.py": `import os, posixpath, socketserver, sys
from wsgiref import simple_server

docs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "docs")


def app(environ, start_response):
    info = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    body = b""
    if info == "/front" or info.startswith("/front/"):
        info = info[len("/front"):]
        body = ("path_info=[%s]\n" % info).encode("utf-8")
    name = os.path.join(docs, posixpath.normpath("/" + info).strip("/"))
    if "\0" not in name and os.path.isfile(name):
        with open(name, "rb") as f:
            body += f.read()
    start_response("200 OK" if body else "404 Not Found", [("Content-Type", "text/plain")])
    return [body or b"not found\n"]


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


host, port = sys.argv[1].split(":")
simple_server.make_server(host, int(port), app, server_class=Server).serve_forever()
`})
	return t.at(serve(tb, func(addr string) command {
		return command{name: "wsgi", dir: t.Dir, user: webUser, argv: []string{"/usr/bin/python3", t.Dir + "/app.py", addr}}
	}))
}
