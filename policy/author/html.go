package author

import (
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

//go:embed pages/*.html
var pages embed.FS

// pageOf reads a page with its layout. The pages are part of the program, and
// a test renders each.
func pageOf(name string) *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"grouped": grouped, "decimal": decimal, "visible": visible, "join": words, "ruled": ruleOrDefault, "methods": methodNames,
		"share": func(part float64) string { return fmt.Sprintf("%.1f%%", 100*part) },
	}).ParseFS(pages, "pages/layout.html", "pages/"+name))
}

// heat is a cell of a heat map: its text, and how dark it is, 0 to 4.
type heat struct {
	Text string
	Step int
}

// treeTable is the tree of paths of one site.
type treeTable struct {
	Site    string
	Columns []string
	Rows    []treeRow
}

type treeRow struct {
	Path     string
	Depth    int
	Requests int64
	Cells    []heat
}

// rehearsalPage is what a report shows around.
type rehearsalPage struct {
	Title, Lead string
	Report      *Report
	Trees       []treeTable
	Week        []dayRow
	Hours       []int
	Watched     bool
}

type dayRow struct {
	Day   string
	Cells []heat
}

// RenderHTML writes the report of a rehearsal with Paths as one page that
// needs nothing else.
func (r *Rehearsal) RenderHTML(w io.Writer, report *Report) error {
	p := rehearsalPage{
		Title: "Rehearsal of " + r.Sites[0].Origin, Report: report, Watched: r.Enforced != nil,
		Lead: "What visitors of the access logs would have been asked by the policy that is enforced.",
	}
	if len(r.Sites) > 1 {
		p.Title = fmt.Sprintf("Rehearsal of %s and %d more", r.Sites[0].Origin, len(r.Sites)-1)
	}
	if p.Watched {
		p.Lead = "What visitors of the access logs would have been asked by the policy that is watched and not enforced."
	}
	for i := range r.Sites {
		if t := r.treeTable(report, i); len(t.Rows) > 0 {
			p.Trees = append(p.Trees, t)
		}
	}
	if report.Forecast != nil {
		p.week(report.Forecast.Hours)
	}
	return pageOf("rehearse.html").ExecuteTemplate(w, "page", p)
}

func (p *rehearsalPage) week(hours [7][24]int64) {
	var most int64
	for _, day := range hours {
		most = max(most, slices.Max(day[:]))
	}
	for hour := range 24 {
		p.Hours = append(p.Hours, hour)
	}
	for i, name := range []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"} {
		row := dayRow{Day: name}
		for _, n := range hours[i] {
			row.Cells = append(row.Cells, heatOf(n, most, grouped(n)))
		}
		p.Week = append(p.Week, row)
	}
}

func heatOf(n, most int64, text string) heat {
	if n == 0 {
		return heat{}
	}
	return heat{text, int(min(4, 1+4*n/max(most, 1)))}
}

// columnsShown is how many different needs have a column of their own, and
// rowsShown how many paths are shown.
const (
	columnsShown = 8
	rowsShown    = 400
)

func (r *Rehearsal) treeTable(report *Report, site int) treeTable {
	t := treeTable{Site: r.siteName(int32(site))}
	root := report.tree.sites[site]
	counts := map[string]int64{}
	for as, n := range root.all() {
		counts[words(as.need.says(r.Sites[site]))] += n
	}
	for name := range counts {
		t.Columns = append(t.Columns, name)
	}
	slices.SortFunc(t.Columns, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b)) })
	if len(t.Columns) > columnsShown {
		t.Columns = append(t.Columns[:columnsShown-1], "other")
	}
	t.rows(r.Sites[site], root, "", 0, report.Requests)
	return t
}

// rows adds a node and those below it, the most asked for first.
func (t *treeTable) rows(s *Site, n *pathNode, path string, depth int, of int64) {
	row := treeRow{Path: cmp.Or(path, "/"), Depth: min(depth, maxDepth)}
	counts := make([]int64, len(t.Columns))
	for as, k := range n.all() {
		row.Requests += k
		at := slices.Index(t.Columns, words(as.need.says(s)))
		if at < 0 {
			at = len(counts) - 1
		}
		counts[at] += k
	}
	if row.Requests == 0 || row.Requests*1000 < of || len(t.Rows) >= rowsShown {
		return
	}
	for _, k := range counts {
		row.Cells = append(row.Cells, heatOf(k, row.Requests, fmt.Sprintf("%.0f%%", 100*float64(k)/float64(row.Requests))))
	}
	t.Rows = append(t.Rows, row)
	sizes := map[string]int64{}
	for name, child := range n.children {
		for _, k := range child.all() {
			sizes[name] += k
		}
	}
	names := n.names()
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(sizes[b], sizes[a]) })
	for _, name := range names {
		t.rows(s, n.children[name], path+"/"+name, depth+1, of)
	}
}
