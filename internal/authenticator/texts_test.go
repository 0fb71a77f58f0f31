package authenticator

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	oneLanguage = regexp.MustCompile(`(?ms)^  (\w+): \{$(.*?)^  \},$`)
	oneText     = regexp.MustCompile(`"((?:[^"\\]|\\.)*)": "((?:[^"\\]|\\.)*)"`)
)

// catalogues are the app's words by language.
func catalogues(t *testing.T) map[string]map[string]string {
	t.Helper()
	file, err := embedded.ReadFile("app/texts.js")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, language := range oneLanguage.FindAllStringSubmatch(string(file), -1) {
		texts := map[string]string{}
		for _, text := range oneText.FindAllStringSubmatch(language[2], -1) {
			if texts[text[1]] != "" {
				t.Errorf("%s: %s is there twice", language[1], text[1])
			}
			texts[text[1]] = text[2]
		}
		all[language[1]] = texts
	}
	return all
}

func TestTheAppSpeaksAllLanguagesAlike(t *testing.T) {
	all := catalogues(t)
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, slices.Sorted(slices.Values(Languages()))) {
		t.Fatalf("texts in %v", got)
	}
	english, placeholder := all["en"], regexp.MustCompile(`\{\w+\}`)
	for language, texts := range all {
		if diff := cmp.Diff(slices.Sorted(maps.Keys(english)), slices.Sorted(maps.Keys(texts))); diff != "" {
			t.Errorf("(-English +%s):\n%s", language, diff)
		}
		for id, text := range texts {
			want, got := placeholder.FindAllString(english[id], -1), placeholder.FindAllString(text, -1)
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" || strings.TrimSpace(text) == "" {
				t.Errorf("%s in %s: %q (-English +%s):\n%s", id, language, text, language, diff)
			}
		}
	}
}
