package factors

import "github.com/stepgate/stepgate/internal/account"

// Words are a short text of ours in each of its languages, by BCP 47 tag; it
// has English always.
type Words map[string]string

// In is the text in a language: the language itself, its base, or English.
func (w Words) In(language string) string { return account.Name(w).In(language) }
