package legacytest

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// Tree is a web server over a small tree of files, none of them protected:
//
//	/public/hello.txt   says "hello"
//	/secret/marker.txt  holds Marker, which is nowhere else
//
// Where the server runs programs, Front is one that shows the path behind its
// own name as the server told it (PATH_INFO), on a line "path_info=[…]", and
// then the file of that name, as front controllers do.
type Tree struct {
	Server
	Marker string // random; whoever reads it has reached the secret
	Front  string // path of the program, "" if the server has none
}

// Trees are all rigs that serve a Tree, by name, for tests that go through them.
func Trees() map[string]func(testing.TB) *Tree {
	return map[string]func(testing.TB) *Tree{
		"apache":   StartApache,
		"nginx":    StartNginx,
		"lighttpd": StartLighttpd,
		"tomcat":   StartTomcat,
		"php":      StartPHP,
		"wsgi":     StartWSGI,
	}
}

// newTree makes the folder with the documents below docs.
func newTree(tb testing.TB) *Tree {
	tb.Helper()
	t := &Tree{Server: Server{Dir: newDir(tb)}, Marker: "marker-" + rand.Text()}
	put(tb, t.Dir, map[string]string{
		"docs/public/hello.txt":  "hello\n",
		"docs/secret/marker.txt": t.Marker + "\n",
	})
	return t
}

// at completes the tree once its server's address is known.
func (t *Tree) at(addr string) *Tree {
	t.Addr, t.URL = addr, "http://"+addr
	return t
}

// frontCGI is the front program for servers that speak CGI.
const frontCGI = `#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
printf 'path_info=[%%s]\n' "$PATH_INFO"
case $PATH_INFO in
*..*) ;;
*) if [ -f '%[1]s'"$PATH_INFO" ]; then cat '%[1]s'"$PATH_INFO"; fi ;;
esac
`

// frontPHP is the front program for servers that run PHP.
const frontPHP = `<?php
header('Content-Type: text/plain');
$info = $_SERVER['PATH_INFO'] ?? '';
echo "path_info=[$info]\n";
if (!str_contains($info, '..') && is_file(__DIR__ . $info)) { readfile(__DIR__ . $info); }
`

// RawGet sends a GET whose target is exactly the bytes given, on a connection
// of its own, and returns status and body. Go's client would tidy it up.
func RawGet(tb testing.TB, addr, target string) (status int, body string) {
	tb.Helper()
	conn, err := net.DialTimeout("tcp", addr, 90*time.Second)
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(90 * time.Second)); err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, addr); err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		tb.Fatalf("legacytest: GET %q: %v", target, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatalf("legacytest: GET %q: %v", target, err)
	}
	return res.StatusCode, string(text)
}
