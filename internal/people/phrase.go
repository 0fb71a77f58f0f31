package people

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
)

// Phrase is a sentence, or a part of one, for whoever asked for something. It
// is written in English and can be read in another language of a site. The
// zero value says nothing.
type Phrase struct {
	// format is as of package fmt, and the name of the phrase in the files of
	// other languages.
	format string
	args   []any
	// rows are set instead for several lines.
	rows []Phrase
}

// say is a phrase. Arguments that are phrases or Actions are read in its
// language too.
func say(format string, args ...any) Phrase { return Phrase{format: format, args: args} }

// String is the phrase in English.
func (p Phrase) String() string { return p.In("") }

// Empty tells whether there is nothing to say.
func (p Phrase) Empty() bool { return p.format == "" && len(p.rows) == 0 }

// In is the phrase in a language, or in English where it is in none.
func (p Phrase) In(language string) string {
	if len(p.rows) > 0 {
		lines := make([]string, 0, len(p.rows))
		for _, row := range p.rows {
			lines = append(lines, row.In(language))
		}
		return strings.Join(lines, "\n")
	}
	args := make([]any, 0, len(p.args))
	for _, arg := range p.args {
		switch a := arg.(type) {
		case Phrase:
			arg = a.In(language)
		case Action:
			arg = inLanguage(language, string(a))
		}
		args = append(args, arg)
	}
	if len(args) == 0 {
		return inLanguage(language, p.format)
	}
	return fmt.Sprintf(inLanguage(language, p.format), args...)
}

func inLanguage(language, format string) string {
	if text, ok := phrases[language][format]; ok {
		return text
	}
	return format
}

// phrases are what is said in other languages, each under its English.
var phrases = readPhrases()

//go:embed refusals/*.json
var phraseFiles embed.FS

func readPhrases() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, language := range []string{"cy"} {
		raw, err := phraseFiles.ReadFile("refusals/" + language + ".json")
		texts := map[string]string{}
		if err == nil {
			err = json.Unmarshal(raw, &texts)
		}
		if err != nil {
			panic(err) // the file is compiled in
		}
		all[language] = texts
	}
	return all
}
