package legacytest

import (
	"fmt"
	"strings"
	"testing"
)

// apacheHead is what every configuration of Apache httpd here begins with.
const apacheHead = `ServerRoot %[1]s
ServerName %[2]s
Listen %[2]s
PidFile %[1]s/pid
ErrorLog /dev/stderr
LogLevel warn
StartServers 1
ServerLimit 1
ThreadsPerChild 16
MinSpareThreads 1
MaxRequestWorkers 16
DefaultRuntimeDir %[1]s
TypesConfig %[1]s/mime.types
DocumentRoot %[1]s/docs
`

// serveApache runs Apache httpd over dir/docs with modules by their names, and
// what configuration says beside that. DIR in it is the folder.
func serveApache(tb testing.TB, dir, modules, configuration string) (addr string) {
	tb.Helper()
	needs(tb, "apache2-bin", "/usr/sbin/apache2")
	return serve(tb, func(addr string) command {
		var text strings.Builder
		for _, name := range strings.Fields("mpm_event authz_core mime dir " + modules) {
			fmt.Fprintf(&text, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", name)
		}
		fmt.Fprintf(&text, apacheHead, dir, addr)
		text.WriteString(strings.ReplaceAll(configuration, "DIR", dir))
		put(tb, dir, map[string]string{"apache.conf": text.String()})
		return command{name: "apache", dir: dir, user: webUser, argv: []string{"/usr/sbin/apache2", "-f", dir + "/apache.conf", "-D", "FOREGROUND"}}
	})
}
