package web

import (
	"net/http"
	"slices"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// DefaultLanguage is the language that every catalogue is complete in.
const DefaultLanguage = "en"

// languageField carries an explicit choice of language in links and forms.
const languageField = "lang"

// maxAcceptLanguage bounds what a stranger can make us parse, in bytes.
const maxAcceptLanguage = 1 << 10

// Language of the answer to r: the one named by lang in the query or, after
// ReadForm, in the form; else the best of Accept-Language; else the site's
// first. The choice lives in addresses alone: no cookie keeps it.
func Language(r *http.Request, site *Site) string {
	offered := site.languages()
	if lang := chosenLanguage(r, offered); lang != "" {
		return lang
	}
	accept := r.Header.Get("Accept-Language")
	if accept == "" || len(accept) > maxAcceptLanguage || len(offered) == 1 {
		return offered[0]
	}
	tags := make([]language.Tag, len(offered))
	for i, o := range offered {
		tags[i] = language.Make(o)
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return offered[0]
	}
	_, index, confidence := language.NewMatcher(tags).Match(wanted...)
	if confidence == language.No {
		return offered[0]
	}
	return offered[index]
}

// chosenLanguage is the language that the visitor picked by a link, if any.
func chosenLanguage(r *http.Request, offered []string) string {
	lang := r.PostForm.Get(languageField)
	if lang == "" {
		lang = r.URL.Query().Get(languageField)
	}
	if slices.Contains(offered, lang) {
		return lang
	}
	return ""
}

// languageName is what a language calls itself: "Cymraeg".
func languageName(lang string) string {
	if name := display.Self.Name(language.Make(lang)); name != "" {
		return name
	}
	return lang
}
