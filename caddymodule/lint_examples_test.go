package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestShippedExamplesAreLintClean: what people copy has no findings but those
// that it accepts with a reason. Those of applications accept their notes so,
// too, and have assertions.
func TestShippedExamplesAreLintClean(t *testing.T) {
	t.Setenv("SMTP_PASSWORD", "x")
	files := []string{filepath.Join("..", "Caddyfile.example")}
	more, err := filepath.Glob(filepath.Join("..", "docs", "examples", "*", "Caddyfile"))
	if err != nil || len(more) == 0 {
		t.Fatal(err, more)
	}
	for _, secret := range []string{"ENTRA_SECRET", "KEYCLOAK_SECRET", "GOOGLE_SECRET"} {
		t.Setenv(secret, "a secret of the client's")
	}
	for _, file := range append(files, more...) {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": file})
			if err != nil {
				t.Fatal(err)
			}
			d, err := drawGates(file, raw)
			if err != nil {
				t.Fatal(err)
			}
			found, err := d.Lint()
			if err != nil {
				t.Fatal(err)
			}
			asserted := strings.Contains(string(text), "policy.assert")
			if app := strings.Contains(string(text), "sign_in legacy_form") || strings.Contains(string(text), "upstream_basic"); app && !asserted {
				t.Error("there are no assertions")
			}
			for _, f := range found {
				if !f.Note || asserted && strings.Contains(string(text), "sign_in") {
					t.Errorf("%s:%d: %s [%s]", f.File, f.Line, f.Text, f.Code)
				}
			}
		})
	}
}
