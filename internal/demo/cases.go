package demo

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const casesOnPage = 10

// docket is the list page. Previous and Next are empty at the ends.
type docket struct {
	Words    string
	Status   string
	Total    int
	Page     int
	Pages    int
	Cases    []courtCase
	Previous string
	Next     string
}

func (p *portal) listCases(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	found := p.records.search(q.Get("q"), q.Get("status"))
	d := docket{
		Words: q.Get("q"), Status: q.Get("status"), Total: len(found),
		Pages: max(1, (len(found)+casesOnPage-1)/casesOnPage),
	}
	d.Page, _ = strconv.Atoi(q.Get("page"))
	d.Page = min(max(1, d.Page), d.Pages)
	d.Cases = found[(d.Page-1)*casesOnPage : min(d.Page*casesOnPage, len(found))]
	if d.Page > 1 {
		d.Previous = d.link(d.Page - 1)
	}
	if d.Page < d.Pages {
		d.Next = d.link(d.Page + 1)
	}
	p.render(w, r, http.StatusOK, "cases", "Docket search", d)
}

func (d docket) link(page int) string {
	q := url.Values{"page": {strconv.Itoa(page)}}
	if d.Words != "" {
		q.Set("q", d.Words)
	}
	if d.Status != "" {
		q.Set("status", d.Status)
	}
	return "/cases?" + q.Encode()
}

// casePage is what the pages of one case are rendered from.
type casePage struct {
	Case      courtCase
	Notes     []note
	Documents []document
}

// caseOf finds the case in the path. Where it returns false it has answered.
func (p *portal) caseOf(w http.ResponseWriter, r *http.Request) (courtCase, bool) {
	c, ok := p.records.byID(r.PathValue("id"))
	if !ok {
		p.say(w, r, http.StatusNotFound, "No such case", "The docket has no case with that number.")
	}
	return c, ok
}

func (p *portal) showCase(w http.ResponseWriter, r *http.Request) {
	if c, ok := p.caseOf(w, r); ok {
		p.render(w, r, http.StatusOK, "case", c.Docket, casePage{
			Case: c, Notes: p.records.notesOf(c.ID), Documents: p.records.documentsOf(c.ID),
		})
	}
}

func (p *portal) addNote(w http.ResponseWriter, r *http.Request) {
	c, ok := p.caseOf(w, r)
	if !ok || !p.readForm(w, r) {
		return
	}
	text := strings.TrimSpace(r.PostForm.Get("text"))
	if text == "" || len([]rune(text)) > maxNoteRunes {
		p.say(w, r, http.StatusBadRequest, "Note not added", "A note has between 1 and 1000 characters.")
		return
	}
	p.records.addNote(note{Case: c.ID, At: p.now().UTC(), Author: visitorOf(r).author(), Text: text})
	http.Redirect(w, r, "/cases/"+strconv.Itoa(c.ID), http.StatusFound)
}

func (p *portal) livePage(w http.ResponseWriter, r *http.Request) {
	if c, ok := p.caseOf(w, r); ok {
		p.render(w, r, http.StatusOK, "live", "Live status of "+c.Docket, casePage{Case: c})
	}
}
