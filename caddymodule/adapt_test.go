package caddymodule

import (
	"bytes"
	"encoding/json"
	goflag "flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"
)

var update = goflag.Bool("update", false, "write what came out into testdata/adapt")

// TestCaddyfileFixtures reads each file of testdata/adapt: a Caddyfile, a line
// of dashes, and what comes of it. That is JSON where the Caddyfile is good;
// then it provisions too. Otherwise it is the error, of adapting or of
// provisioning, and names file and line. {dir} stands for the folder.
func TestCaddyfileFixtures(t *testing.T) {
	t.Setenv("STEPGATE_TEST_SECRET", "from the environment")
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	dir, err := filepath.Abs("testdata/adapt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfiletest")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source, want, ok := strings.Cut(string(text), "\n----------\n")
			if !ok {
				t.Fatal("no line of dashes")
			}
			source += "\n"
			got := strings.ReplaceAll(comesOf(t, source, filepath.Join(dir, "Caddyfile")), dir, "{dir}") + "\n"
			if *update {
				if err := os.WriteFile(file, []byte(source+"----------\n"+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if !strings.HasPrefix(got, "{") && !strings.Contains(got, "Caddyfile:") && !strings.Contains(got, ".caddy:") {
				t.Error("the error does not say where")
			}
			if formatted := string(caddyfile.Format([]byte(source))); formatted != source {
				t.Errorf("not formatted: %s", cmp.Diff(formatted, source))
			}
		})
	}
}

// comesOf is the JSON that a Caddyfile adapts to, or the error of whichever
// step refuses it.
func comesOf(t *testing.T, source, file string) string {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(source), map[string]any{"filename": file})
	if err != nil {
		return err.Error()
	}
	if err := validate(t, config); err != nil {
		return err.Error()
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return indented.String()
}

// validate provisions a configuration as `stepgate validate` does, with
// certificates in a folder of the test's.
func validate(t *testing.T, config []byte) error {
	t.Helper()
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c.StorageRaw = storage
	return caddy.Validate(&c)
}
