package inject

import (
	"encoding/json"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/policy"
)

func catalogue(t *testing.T, lang string) map[string]string {
	t.Helper()
	data, err := embedded.ReadFile("texts/" + lang + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]string
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestEveryTextIsThereInEnglishAndWelshAndUsed(t *testing.T) {
	english, welsh := catalogue(t, "en"), catalogue(t, "cy")
	if diff := cmp.Diff(slices.Sorted(maps.Keys(english)), slices.Sorted(maps.Keys(welsh))); diff != "" {
		t.Errorf("(-English +Welsh):\n%s", diff)
	}
	var script strings.Builder
	parts, _ := fs.Glob(embedded, "client/*.js")
	for _, name := range parts {
		part, _ := embedded.ReadFile(name)
		script.Write(part)
	}
	asked := map[string]bool{}
	for _, found := range regexp.MustCompile(`"((?:ask|early|ends|proofs)\.[a-z-]+)"`).FindAllStringSubmatch(script.String(), -1) {
		asked[found[1]] = true
	}
	for _, f := range policy.Factors() {
		asked["factor."+string(f)] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(asked)), slices.Sorted(maps.Keys(english))); diff != "" {
		t.Errorf("(-used +there):\n%s", diff)
	}
	placeholder := regexp.MustCompile(`\{\w+\}`)
	for id, text := range english {
		if diff := cmp.Diff(placeholder.FindAllString(text, -1), placeholder.FindAllString(welsh[id], -1)); diff != "" {
			t.Errorf("%s (-English +Welsh):\n%s", id, diff)
		}
	}
}
