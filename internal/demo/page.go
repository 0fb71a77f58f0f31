package demo

import (
	"bytes"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// visitor is who the portal believes it is talking to. All fields are empty
// for a guest.
type visitor struct {
	User   string
	Name   string
	Groups string
}

func visitorOf(r *http.Request) visitor {
	return visitor{
		User:   r.Header.Get("Remote-User"),
		Name:   r.Header.Get("Remote-Name"),
		Groups: strings.ReplaceAll(r.Header.Get("Remote-Groups"), ",", ", "),
	}
}

// author is the name under which a visitor's entries are kept.
func (v visitor) author() string {
	if v.User == "" {
		return "guest"
	}
	return v.User
}

// view is what every page is rendered from; Body is the page's own part.
type view struct {
	Title   string
	Visitor visitor
	Token   string
	Body    any
}

func parsePages() map[string]*template.Template {
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	pages := make(map[string]*template.Template)
	for _, name := range names {
		if base := path.Base(name); base != "layout.html" {
			pages[strings.TrimSuffix(base, ".html")] =
				template.Must(template.ParseFS(files, "pages/layout.html", name))
		}
	}
	return pages
}

// render answers with a page. It sets the portal's cookie where the browser
// has none, because every page may carry a form.
func (p *portal) render(w http.ResponseWriter, r *http.Request, status int, page, title string, body any) {
	v := view{Title: title, Visitor: visitorOf(r), Token: p.token(p.session(w, r)), Body: body}
	var out bytes.Buffer
	if err := p.pages[page].ExecuteTemplate(&out, "layout", v); err != nil {
		http.Error(w, "The page could not be drawn.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w)
}

// say renders a page that only says something.
func (p *portal) say(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	p.render(w, r, status, "say", title, text)
}

func (p *portal) home(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, http.StatusOK, "home", "Welcome", nil)
}

func (p *portal) about(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, http.StatusOK, "about", "About this service", nil)
}

func (p *portal) notFound(w http.ResponseWriter, r *http.Request) {
	p.say(w, r, http.StatusNotFound, "Page not found", "There is no such page. Please use the menu on the left.")
}
