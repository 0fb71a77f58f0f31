package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
)

// View is what all pages have in common. Each page's view struct embeds it.
// The zero value renders.
//
// Title and the texts of Errors are ids of a catalogue, or plain words in the
// page's language.
type View struct {
	// Title of the page and its only h1. Empty takes the page's "title".
	Title string
	// Errors are shown in the summary on top and at their fields.
	Errors []FieldError
	// CSRF is the token of the page's forms, from Guard.Token.
	CSRF string
	// Back is the address of the page before this one. Empty shows no link.
	Back string
	// Account is the username of who is signed in; it shows the sign-out button.
	Account string
	// Values refills inputs after an error, by field name. Passwords, PINs and
	// codes are never refilled.
	Values map[string]string
	// Public keeps the browser from remembering what is typed: it is one that
	// others use as well.
	Public bool
	// Wide gives the page the room that a table needs.
	Wide bool

	page *page // set by Render
}

// FieldError is what is wrong with one field. An empty Field is about the whole
// form and links nowhere.
type FieldError struct {
	Field, Text string
	// Args are the text's parameters: name, value, name, value.
	Args []any
}

// viewer is implemented by embedding View.
type viewer interface{ base() *View }

func (v *View) base() *View { return v }

// Link gives the address of one of our pages, path being what follows the
// prefix. A language chosen by a link is carried along.
func (v *View) Link(path string) string {
	return v.page.link(v.page.Site.Path(path))
}

// Asset gives the address of a picture, style or script of the set or the kit.
func (v *View) Asset(name string) (string, error) { return v.page.asset(name) }

// Script gives the tag of a script of the set, with the nonce that lets it run.
// It belongs in the page's "scripts".
func (v *View) Script(name string) (template.HTML, error) {
	src, err := v.page.asset(name)
	if err != nil {
		return "", err
	}
	return template.HTML(fmt.Sprintf(`<script src="%s" nonce="%s" defer></script>`,
		template.HTMLEscapeString(src), template.HTMLEscapeString(v.page.Nonce))), nil
}

// Module is Script for one that imports others of the set: they run by its
// nonce.
func (v *View) Module(name string) (template.HTML, error) {
	src, err := v.page.asset(name)
	if err != nil {
		return "", err
	}
	return template.HTML(fmt.Sprintf(`<script type="module" src="%s" nonce="%s"></script>`,
		template.HTMLEscapeString(src), template.HTMLEscapeString(v.page.Nonce))), nil
}

// Lang is the language of the page when the visitor chose it by a link, to be
// carried along by forms; empty otherwise.
func (v *View) Lang() string { return v.page.Chosen }

// SiteName is the portal's name.
func (v *View) SiteName() string { return v.page.Site.Name }

// Date gives day and time in the site's zone, in the words of the page's language.
// The zero time is empty.
func (v *View) Date(t time.Time) (string, error) {
	if t.IsZero() {
		return "", nil
	}
	zone, id := v.page.Site.Zone, "date.local"
	if zone == nil {
		zone, id = time.UTC, "date"
	}
	t = t.In(zone)
	month, err := v.page.words.text(fmt.Sprintf("month.%d", int(t.Month())))
	if err != nil {
		return "", err
	}
	return v.page.words.text(id, "day", t.Day(), "month", month, "year", t.Year(), "time", t.Format("15:04"))
}

// link carries a chosen language along in an address of ours.
func (p *page) link(address string) string {
	if p.Chosen == "" {
		return address
	}
	return withLanguage(address, p.Chosen)
}

// withLanguage sets the language in a path that may have a query and fragment.
func withLanguage(address, lang string) string {
	address, fragment, hasFragment := strings.Cut(address, "#")
	path, query, _ := strings.Cut(address, "?")
	kept := make([]string, 0, 4)
	for part := range strings.SplitSeq(query, "&") {
		if part != "" && part != languageField && !strings.HasPrefix(part, languageField+"=") {
			kept = append(kept, part)
		}
	}
	kept = append(kept, languageField+"="+url.QueryEscape(lang))
	address = path + "?" + strings.Join(kept, "&")
	if hasFragment {
		address += "#" + fragment
	}
	return address
}
