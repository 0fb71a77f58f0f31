package caddymodule

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestLintSeesWhatGoesRoundAGate draws sites around gates.
func TestLintSeesWhatGoesRoundAGate(t *testing.T) {
	for _, tt := range []struct{ name, sites, want string }{
		{"everyone is a proxy", "{\nadmin off\nservers {\ntrusted_proxies static 0.0.0.0/0\ntrusted_proxies_strict\n}\n}\nhttp://a.test {\nstepgate\n}\n", codeProxiesEveryone},
		{"https before plain http, and nobody named", "http://a.test {\nstepgate {\norigin https://a.test\n}\n}\n", codeForwarder},
		{"https before plain http, and named", "{\nservers {\ntrusted_proxies static private_ranges\ntrusted_proxies_strict\n}\n}\nhttp://a.test {\nstepgate {\norigin https://a.test\n}\n}\n", ""},
		{"https by Caddy itself", "https://a.test {\nstepgate {\norigin https://a.test\n}\n}\n", ""},
		{"the same app by another name", "http://a.test {\nstepgate\nreverse_proxy 127.0.0.1:9000\n}\nhttp://b.test {\nreverse_proxy localhost:9000\n}\n", codeProxyWithoutGate},
		{"another app", "http://a.test {\nstepgate\nreverse_proxy 127.0.0.1:9000\n}\nhttp://b.test {\nreverse_proxy localhost:9001\n}\n", ""},
		{"a rewrite behind the gate", "http://a.test {\nroute {\nstepgate\nrewrite /public /secret\n}\n}\n", codeRewriteAfterGate},
		{"another method behind the gate", "http://a.test {\nroute {\nstepgate\nmethod DELETE\nreverse_proxy a:1\n}\n}\n", codeRewriteAfterGate},
		{"another method of the proxy", "http://a.test {\nstepgate\nreverse_proxy a:1 {\nmethod DELETE\n}\n}\n", codeRewriteAfterGate},
		{"another query behind the gate", "http://a.test {\nroute {\nstepgate\nuri query action delete\nreverse_proxy a:1\n}\n}\n", codeRewriteAfterGate},
		{"a rewrite before the gate", "http://a.test {\nrewrite /public /secret\nstepgate\n}\n", ""},
		{"a rewrite of what an answer is handled with", "http://a.test {\nstepgate\nreverse_proxy a:1 {\n@x status 404\nhandle_response @x {\nrewrite * /secret{path}\nreverse_proxy a:1\n}\n}\n}\n", codeRewriteAfterGate},
		{"where the app's answer leads", "http://a.test {\nstepgate\nreverse_proxy a:1 {\n@x header X-Accel-Redirect *\nhandle_response @x {\nrewrite * {rp.header.X-Accel-Redirect}\nmethod * GET\nfile_server\n}\n}\n}\n", ""},
		{"an answer's proxy without a gate", "http://a.test {\nstepgate\nreverse_proxy a:1\n}\nhttp://b.test {\nreverse_proxy b:1 {\n@x status 404\nhandle_response @x {\nreverse_proxy a:1\n}\n}\n}\n", codeProxyWithoutGate},
		{"the authenticator app on a host of its own", "http://a.test {\nstepgate\nreverse_proxy a:1\n}\nhttp://b.test {\nstepgate_authenticator\n}\n", ""},
		{"the authenticator app beside a portal", "http://a.test {\nstepgate\nreverse_proxy a:1\n}\nhttp://b.test {\nstepgate_authenticator\nhandle /old/* {\nreverse_proxy b:1\n}\n}\n", codeAppWithUpstream},
		{"the authenticator app beside a gate", "http://a.test {\nstepgate\nstepgate_authenticator\n}\n", codeAppWithUpstream},
		{"no wait for new factors", "http://a.test {\nstepgate {\nbinding_delay 0s\n}\n}\n", codeBindingDelay},
		{"an SMS level with a file", "{\nstepgate {\nsms file sms.jsonl\n}\n}\nhttp://a.test {\nstepgate {\npolicy {\nlevel text {\naccept sms\n}\nrequire text /a\n}\n}\n}\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(tt.sites), map[string]any{"filename": "Caddyfile"})
			if err != nil {
				t.Fatal(err)
			}
			d, err := drawGates("Caddyfile", raw)
			if err != nil {
				t.Fatal(err)
			}
			found, err := d.Lint()
			if err != nil {
				t.Fatal(err)
			}
			var codes []string
			for _, f := range found {
				if !f.Note && !slices.Contains(codes, f.Code) {
					codes = append(codes, f.Code)
				}
			}
			if got := strings.Join(codes, " "); got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
