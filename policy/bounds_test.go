package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/policy/target"
)

// A stranger's longest and oddest query or form costs the same whether one
// rule asks about its fields or a hundred.
func TestOneRequestIsBoundedWork(t *testing.T) {
	var rules strings.Builder
	for i := range 50 {
		fmt.Fprintf(&rules, "require mfa /app.do?action%d=delete*\n", i)
		fmt.Fprintf(&rules, "require mfa POST /app.do?action=*delete%d*\n", i)
	}
	p := policyOf(t, rules.String())
	const size = target.MaxFieldBytes
	for _, unit := range []string{
		"%61&", "%&", "+%2561=&", "x=%2561+&", "action=;", "_method=;", "x;", ";", "action=1&", "\xef\xb7\xba=1&", "%EF%B7%BA=1&",
		"action=\xef\xb7\xba&", "action=%u0061%25E9+", "[&", "action[&", "action[;", "action[x];", "action[x[", "action[%;", "\xff&", "name=\"x\"; ", "action=%00%2500 &",
	} {
		fields := strings.Repeat(unit, size/len(unit))
		multipart := "--b\r\n" + strings.Repeat("Content-Disposition: form-data; name="+unit+"\r\n\r\n1\r\n--b\r\n", size/(60+len(unit))) + "--b--\r\n"
		for name, r := range map[string]*Request{
			"query":     {Method: "POST", Target: read(t, "/app.do?"+fields)},
			"one field": {Method: "POST", Target: read(t, "/app.do?action="+strings.ReplaceAll(fields, "&", "x"))},
			"form":      {Method: "POST", Target: read(t, "/app.do"), Form: formOf("application/x-www-form-urlencoded", fields)},
			"multipart": {Method: "POST", Target: read(t, "/app.do"), Form: formOf("multipart/form-data; boundary=b", multipart)},
		} {
			start := time.Now()
			p.Decide(r)
			took := time.Since(start)
			if took > 10*time.Second {
				t.Errorf("a %s of %q took %v", name, unit, took)
			}
			if took > 20*time.Millisecond {
				t.Logf("a %s of %q took %v", name, unit, took)
			}
		}
	}
}

func formOf(contentType, body string) func() (string, []byte, bool) {
	return func() (string, []byte, bool) { return contentType, []byte(body), true }
}
