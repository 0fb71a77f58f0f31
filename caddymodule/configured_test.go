package caddymodule

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
)

const auditedSite = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
		audit {
			json_lines {{dir}}/trail.jsonl
		}
	}
}
{{site}} {
	stepgate {
		policy {
			public      /public
			require mfa /cases/*
		}
	}
	reverse_proxy {{upstream}}
}
`

// loaded waits for so many events of a configuration, and gives the newest.
func (g *rig) loaded(n int) audit.Record {
	g.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		all, err := active.Load().store.Events(g.t.Context(), audit.Query{Names: []audit.Name{audit.ConfigLoaded}})
		if err != nil {
			g.t.Fatal(err)
		}
		if len(all) >= n {
			return all[0]
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("%d events of configurations, want %d", len(all), n)
		}
	}
}

func detail(e audit.Record, key string) (all []string) {
	for _, f := range e.Detail {
		if f.Key == key {
			all = append(all, f.Value)
		}
	}
	return all
}

func TestTheTrailTellsWhatAConfigurationMadeWeaker(t *testing.T) {
	g := startGateway(t, auditedSite, nil)
	first := g.loaded(1)
	if first.Reason != "start" || len(detail(first, "digest")) != 1 {
		t.Errorf("the start: %+v", first.Event)
	}
	g.load(strings.Replace(auditedSite, "require mfa /cases/*", "public /cases/*", 1))
	second := g.loaded(2)
	if second.Reason != "reload" || !slices.Equal(detail(second, "digest_before"), detail(first, "digest")) || slices.Equal(detail(second, "digest"), detail(first, "digest")) {
		t.Errorf("the reload: %+v", second.Event)
	}
	if weaker := strings.Join(detail(second, "weaker"), "\n"); !strings.Contains(weaker, "/cases") || !strings.Contains(weaker, "public") {
		t.Errorf("what became weaker: %q", weaker)
	}
	g.load(auditedSite)
	if third := g.loaded(3); !slices.Equal(detail(third, "weaker"), []string{"nothing"}) {
		t.Errorf("back again: %+v", third.Event)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		// One that is on its way during a reload may come twice.
		sent, err := os.ReadFile(filepath.Join(g.dir, "trail.jsonl"))
		came := map[string]bool{}
		for line := range strings.Lines(string(sent)) {
			if strings.Contains(line, `"event":"config_loaded"`) {
				came[line] = true
			}
		}
		if err == nil && len(came) == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the trail did not go out: %v\n%s", err, sent)
		}
	}
}
