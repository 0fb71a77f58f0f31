package caddymodule

import (
	"os"
	"strings"
	"testing"
)

const whySite = `{
	admin off
	persist_config off
	auto_https off
	log {
		output file {{dir}}/caddy.log
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
	}
}
{{site}} {
	stepgate {
		policy {
			require mfa /cases/* {
				why "Cases are <confidential>."
			}
			require signed_in /admin/* {
				group admins
				why "Ask your registrar."
			}
			deny /debug/* {
				why "Nobody needs this."
			}
			public /old/* {
				until 2020-01-01
			}
			default mfa
		}
	}
	reverse_proxy {{upstream}}
}
`

func TestPagesSayWhyARuleStops(t *testing.T) {
	g := startGateway(t, whySite, nil)
	g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	other := g.browser()
	if p := other.signIn(other.get("/cases/1"), "joe").at("/challenge/totp"); !strings.Contains(p.body, "Cases are &lt;confidential&gt;.") {
		t.Errorf("the challenge says %s", p.body)
	}
	if p := b.get("/admin/").want(403, ""); !strings.Contains(p.body, "Ask your registrar.") {
		t.Errorf("the refusal says %s", p.body)
	}
	if p := b.get("/debug/").want(403, ""); !strings.Contains(p.body, "Nobody needs this.") || strings.Contains(p.body, "registrar") {
		t.Errorf("the denial says %s", p.body)
	}
	log, err := os.ReadFile(g.dir + "/caddy.log")
	if err != nil || !strings.Contains(string(log), "a rule has ended") || !strings.Contains(string(log), "public /old/*") && !strings.Contains(string(log), "/old/*") {
		t.Errorf("nothing in the log of a rule that has ended: %v", err)
	}
}
