package caddymodule

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/caddymodule/command"
	"github.com/stepgate/stepgate/internal/gate"
)

// examples are the Caddyfiles that people are shown, by FILE:LINE.
func examples(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{"Caddyfile.example:1": readDocument(t, "Caddyfile.example")}
	for _, file := range glob(t, "docs/examples/*/Caddyfile") {
		found[file+":1"] = readDocument(t, file)
	}
	for _, name := range append(glob(t, "docs/*.md"), "README.md") {
		if name == "docs/extending.md" {
			continue // its modules are not in this build
		}
		text := readDocument(t, name)
		for _, at := range fenced.FindAllStringSubmatchIndex(text, -1) {
			kind, body := text[at[2]:at[3]], text[at[4]:at[5]]
			line := strings.Count(text[:at[0]], "\n") + 1
			found[fmt.Sprintf("%s:%d", name, line)] = whole(t, kind, body)
		}
	}
	return found
}

// fenced is an example in a page: the word behind `caddyfile` says what it is
// a part of.
var fenced = regexp.MustCompile("(?ms)^```caddyfile ?(\\w*)\n(.*?)^```$")

// whole puts an example into the Caddyfile that it is a part of.
func whole(t *testing.T, kind, body string) string {
	t.Helper()
	switch kind {
	case "":
		return body
	case "global":
		return "{\nstepgate {\n" + body + "}\n}\nportal.example.gov {\nstepgate\n}\n"
	case "stepgate":
		return "portal.example.gov {\nstepgate {\n" + body + "}\n}\n"
	case "policy":
		return "portal.example.gov {\nstepgate {\npolicy {\n" + body + "}\n}\n}\n"
	default:
		t.Fatalf("an example is marked %q", kind)
		return ""
	}
}

// glob lists files by their paths from the module's root.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		files[i] = strings.TrimPrefix(filepath.ToSlash(file), "../")
	}
	return files
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// adaptText adapts a Caddyfile that stands in a file of the repository.
func adaptText(text, file string) ([]byte, error) {
	raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": filepath.Join("..", file)})
	return raw, err
}

// TestExamplesAreValid runs every example through what `stepgate validate`
// does.
func TestExamplesAreValid(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	all := examples(t)
	if len(all) < 6 {
		t.Fatalf("found only %d examples", len(all))
	}
	for name, text := range all {
		t.Run(name, func(t *testing.T) {
			for _, secret := range regexp.MustCompile(`\{env\.(\w+)\}`).FindAllStringSubmatch(text, -1) {
				t.Setenv(secret[1], "hidden")
			}
			raw, err := adaptText(text, strings.Split(name, ":")[0])
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			config := new(caddy.Config)
			if err := json.Unmarshal(raw, config); err != nil {
				t.Fatal(err)
			}
			config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
				"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
			}}
			if err := caddy.Validate(config); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
}

// TestShippedCaddyfilesAreFormatted keeps Caddy from warning people who copy
// them.
func TestShippedCaddyfilesAreFormatted(t *testing.T) {
	for name, text := range map[string]string{"Caddyfile.example": readDocument(t, "Caddyfile.example"), "the demo's": command.DemoCaddyfile} {
		text = strings.NewReplacer("{{", "", "}}", "").Replace(text)
		if diff := cmp.Diff(string(caddyfile.Format([]byte(text))), text); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestConfigurationPageNamesEveryOption asks each block for an option that
// nobody has: the error lists those that there are.
func TestConfigurationPageNamesEveryOption(t *testing.T) {
	page := readDocument(t, "docs/configuration.md")
	// What stands in backquotes on one line, examples aside.
	page = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(page, "")
	named := map[string]bool{}
	for _, span := range regexp.MustCompile("`[^`\n]+`").FindAllString(page, -1) {
		for word := range strings.FieldsFuncSeq(strings.Trim(span, "`"), func(r rune) bool { return r == ' ' || r == '|' || r == '\\' }) {
			named[word] = true
		}
	}
	listed := regexp.MustCompile("expected one of (.+?)(?:, at |$)")
	for _, block := range []string{
		"{\nstepgate {\n%\n}\n}\n",
		"{\nstepgate {\ncodes {\n%\n}\n}\n}\n",
		"{\nstepgate {\nsms sns {\n%\n}\n}\n}\n",
		"{\nstepgate {\nsms webhook https://sms.example {\n%\n}\n}\n}\n",
		"{\nstepgate {\nemail smtp mail.example:587 {\n%\n}\n}\n}\n",
		"{\nstepgate {\nsession {\n%\n}\n}\n}\n",
		"a.example {\nstepgate {\n%\n}\n}\n",
		"a.example {\nstepgate {\nsign_in legacy_form {\n%\n}\n}\n}\n",
		"a.example {\nstepgate {\npages {\n%\n}\n}\n}\n",
		"a.example {\nstepgate {\npolicy {\n%\n}\n}\n}\n",
		"a.example {\nstepgate {\npolicy {\nlevel x {\n%\n}\n}\n}\n}\n",
		"a.example {\nstepgate {\npolicy {\nrequire mfa / {\n%\n}\n}\n}\n}\n",
		"a.example {\nstepgate {\npolicy {\nraise mfa when %\n}\n}\n}\n",
	} {
		_, err := adaptText(strings.ReplaceAll(block, "%", "qqqqqqqqqqqq"), "Caddyfile")
		if err == nil {
			t.Fatalf("no error for:\n%s", block)
		}
		found := listed.FindStringSubmatch(err.Error())
		if found == nil {
			t.Fatalf("no list of options in: %v", err)
		}
		for option := range strings.SplitSeq(found[1], ", ") {
			if !named[option] {
				t.Errorf("docs/configuration.md does not name `%s`", option)
			}
		}
	}
}

// TestReadmeNamesEveryCommandAndHeader keeps the tables of the README whole.
func TestReadmeNamesEveryCommandAndHeader(t *testing.T) {
	readme := readDocument(t, "README.md")
	for _, c := range command.Commands() {
		if !strings.Contains(readme, "| `stepgate "+c.Name) {
			t.Errorf("the README's table has no `stepgate %s`", c.Name)
		}
	}
	for _, placeholder := range identityPlaceholders {
		if !strings.Contains(readme, "`{"+placeholder+"}`") {
			t.Errorf("the README has no {%s}", placeholder)
		}
	}
	for _, header := range gate.DefaultIdentity() {
		if !strings.Contains(readme, "| `"+header.Name+"` | `{"+header.Placeholder+"}` |") {
			t.Errorf("the README does not say that %s is {%s}", header.Name, header.Placeholder)
		}
	}
}

// TestPagesLinkToWhatIsThere follows the links between the documents.
func TestPagesLinkToWhatIsThere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	files := []string{"README.md", "CHANGELOG.md", ".github/SECURITY.md", ".github/CONTRIBUTING.md"}
	files = append(files, glob(t, "docs/*.md")...)
	if !slices.Contains(files, "docs/configuration.md") {
		t.Fatal("the pages were not found")
	}
	for _, file := range files {
		for _, m := range link.FindAllStringSubmatch(readDocument(t, file), -1) {
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", file, m[1], err)
			}
		}
	}
}
