package legacytest

import (
	"net/http"
	"strings"
	"testing"
)

// TestTreesReadPaths shows that each server serves its tree, that its front
// program sees the path behind it, and which spellings of the secret's path it
// takes for the same: the reason why a gateway has to know them.
func TestTreesReadPaths(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six web servers")
	}
	reached := map[string][]string{
		"apache":   {"//secret//marker.txt", "/%73ecret/marker.txt", "/secret%2Fmarker.txt", "/secret/marker", "/public/../secret/marker.txt"},
		"nginx":    {"//secret//marker.txt", "/%73ecret/marker.txt", "/secret%2fmarker.txt", "/public/..%2fsecret/marker.txt"},
		"lighttpd": {"/%73ecret/marker.txt", "/SECRET/Marker.txt"},
		"tomcat":   {"/secret;x=1/marker.txt;y", "/%73ecret/marker.txt", "/secret%2Fmarker.txt", "//secret//marker.txt"},
		"php":      {"//secret//marker.txt", "/%73ecret/marker.txt", "/secret%2Fmarker.txt"},
		"wsgi":     {"//secret//marker.txt", "/%73ecret/marker.txt", "/public%2f..%2fsecret/marker.txt"},
	}
	for name, start := range Trees() {
		t.Run(name, func(t *testing.T) {
			tree := start(t)
			for _, c := range []struct {
				target string
				status int
				holds  string
			}{
				{"/public/hello.txt", http.StatusOK, "hello"},
				{"/secret/marker.txt", http.StatusOK, tree.Marker},
				{"/secret/none.txt", http.StatusNotFound, ""},
				{tree.Front + "/public/hello.txt?q=1", http.StatusOK, "path_info=[/public/hello.txt]\nhello"},
				{tree.Front + "/a%20b", http.StatusOK, "path_info=[/a b]\n"},
			} {
				status, body := RawGet(t, tree.Addr, c.target)
				if status != c.status || !strings.Contains(body, c.holds) {
					t.Errorf("%s: status %d, body %.300q; want %d, %q", c.target, status, body, c.status, c.holds)
				}
			}
			for _, target := range append(reached[name], tree.Front+"/secret/marker.txt") {
				if status, body := RawGet(t, tree.Addr, target); !strings.Contains(body, tree.Marker) {
					t.Errorf("%s does not reach the secret: status %d, %.300q", target, status, body)
				}
			}
		})
	}
}
