package caddymodule

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/google/go-cmp/cmp"
)

// origins provisions a Caddyfile and lists the origins of its gates.
func origins(t *testing.T, caddyfile string) ([]string, error) {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	c.StorageRaw, err = json.Marshal(map[string]string{"module": "file_system", "root": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&c)
	if err != nil {
		return nil, err
	}
	app, err := ctx.App("stepgate")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, site := range app.(*App).sites {
		found = append(found, site.Origin)
	}
	return found, nil
}

func TestOriginIsTheSitesOnePlainAddress(t *testing.T) {
	for _, row := range []struct {
		name, caddyfile string
		want            []string
	}{
		{"name", "portal.example.gov {\nstepgate\n}", []string{"https://portal.example.gov"}},
		{"name in capitals", "Portal.Example.GOV {\nstepgate\n}", []string{"https://portal.example.gov"}},
		{"name and port", "https://portal.example.gov:8443 {\nstepgate\n}", []string{"https://portal.example.gov:8443"}},
		{"name of other letters", "bücher.example {\nstepgate\n}", []string{"https://xn--bcher-kva.example"}},
		{"plain http", "http://portal.example.gov {\nstepgate\n}", []string{"http://portal.example.gov"}},
		{"this machine", "localhost {\nstepgate\n}", []string{"https://localhost"}},
		{"this machine and port", "localhost:8080 {\nstepgate\n}", []string{"https://localhost:8080"}},
		{"this machine without TLS", "http://localhost:8080 {\nstepgate\n}", []string{"http://localhost:8080"}},
		{"auto_https off, which is not TLS off", "{\nauto_https off\n}\nlocalhost:8080 {\nstepgate\n}", []string{"https://localhost:8080"}},
		{"TLS by hand", "{\nauto_https off\n}\nlocalhost:8443 {\ntls internal\nstepgate\n}", []string{"https://localhost:8443"}},
		{"IPv4 address", "http://127.0.0.1:8080 {\nstepgate\n}", []string{"http://127.0.0.1:8080"}},
		{"IPv6 address", "http://[::1]:8080 {\nstepgate\n}", []string{"http://[::1]:8080"}},
		{"IPv6 address with TLS", "[::1] {\nstepgate\n}", []string{"https://[::1]"}},
		{"within handle and route", "portal.example.gov {\nroute {\nhandle {\nstepgate\n}\n}\n}", []string{"https://portal.example.gov"}},
		{"imported snippet", "(gate) {\nstepgate\n}\none.example.gov {\nimport gate\n}\ntwo.example.gov {\nimport gate\n}",
			[]string{"https://one.example.gov", "https://two.example.gov"}},
		{"said", "*.example.gov {\nstepgate {\norigin https://portal.example.gov\n}\n}", []string{"https://portal.example.gov"}},
		{"said with a slash behind it", ":8080 {\nstepgate {\norigin https://portal.example.gov/\n}\n}", []string{"https://portal.example.gov"}},

		{"several names", "portal.example.gov, www.example.gov {\nstepgate\n}", nil},
		{"no name", ":8080 {\nstepgate\n}", nil},
		{"wildcard", "*.example.gov {\nstepgate\n}", nil},
		{"no name for some port", "http:// {\nstepgate\n}", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := origins(t, row.caddyfile)
			if row.want == nil {
				if err == nil || !strings.Contains(err.Error(), "origin https://portal.example.gov") || !strings.Contains(err.Error(), "Caddyfile:2: ") {
					t.Errorf("got %s, %v; want to be asked for the origin", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// loggedHead is testHead with a log file, for tests of what an operator reads.
const loggedHead = `{
	admin off
	persist_config off
	auto_https off
	log {
		output file {{dir}}/gateway.log
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
	}
	{{options}}
}
`

// logLines are the lines of the gateway's log that hold some words.
func (g *rig) logLines(words string) []string {
	g.t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, "gateway.log"))
	if err != nil {
		g.t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, words) {
			found = append(found, line)
		}
	}
	return found
}

func TestAGateInsideAMatcherIsWarnedOf(t *testing.T) {
	for _, row := range []struct {
		name, site string
		matchers   string // none: no warning
	}{
		{"site alone", "stepgate", ""},
		{"handle", "handle {\nstepgate\n}", ""},
		{"host", "@here host localhost\nhandle @here {\nstepgate\n}", ""},
		{"another handle with a path", "handle /assets/* {\nrespond 200\n}\nhandle {\nstepgate\n}", ""},
		{"handle with a path", "handle /x/* {\nstepgate\n}", `["path"]`},
		{"handle_path", "handle_path /x/* {\nstepgate\n}", `["path"]`},
		{"route with a path", "route /x/* {\nstepgate\n}", `["path"]`},
		{"deep below", "route /x/* {\nhandle {\nroute {\nstepgate\n}\n}\n}", `["path"]`},
		{"named matcher", "@m {\npath /x/*\nmethod POST\n}\nhandle @m {\nstepgate\n}", `["method","path"]`},
		{"negated matcher", "@m not path /x/*\nroute @m {\nstepgate\n}", `["not"]`},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := startGateway(t, strings.Replace(loggedHead, "{{options}}", "", 1)+"{{site}} {\n"+row.site+"\nreverse_proxy {{upstream}}\n}\n", nil)
			got := g.logLines("stands inside a matcher")
			switch {
			case row.matchers == "" && len(got) > 0:
				t.Errorf("a warning without reason: %s", got)
			case row.matchers != "" && (len(got) != 1 || !strings.Contains(got[0], `"matchers":`+row.matchers) || !strings.Contains(got[0], `"source":"Caddyfile:`)):
				t.Errorf("got %q, want one line that names %s and says where", got, row.matchers)
			}
		})
	}
}

func TestTrustedProxiesWithoutStrictAreWarnedOf(t *testing.T) {
	for options, want := range map[string]int{
		"": 0,
		"servers {\ntrusted_proxies static 127.0.0.0/8 ::1/128\n}":                         1,
		"servers {\ntrusted_proxies static 127.0.0.0/8 ::1/128\ntrusted_proxies_strict\n}": 0,
	} {
		g := startGateway(t, strings.Replace(loggedHead, "{{options}}", options, 1)+"{{site}} {\nstepgate\nreverse_proxy {{upstream}}\n}\n", nil)
		for range 2 {
			g.browser().get("/", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.9") })
		}
		if got := g.logLines("without trusted_proxies_strict"); len(got) != want {
			t.Errorf("%q: %d warnings, want %d: %s", options, len(got), want, got)
		}
	}
}
