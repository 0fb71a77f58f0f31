package factors

import "strings"

// Words are a short text of ours in each of its languages, by BCP 47 tag; it
// has English always.
type Words map[string]string

// In is the text in a language: the language itself, its base, or English.
func (w Words) In(language string) string {
	base, _, _ := strings.Cut(language, "-")
	for _, lang := range []string{language, base} {
		if text, ok := w[lang]; ok {
			return text
		}
	}
	return w["en"]
}
