package admin

import "strings"

// page answers a visit; arg is the ID in its path.
type page func(q *visit, arg string) error

// plain are the pages without an ID in their path.
var plain = map[string]page{
	"/":              (*visit).search,
	"/accounts.csv":  (*visit).export,
	"/bulk":          (*visit).bulk,
	"/new":           (*visit).create,
	"/import":        (*visit).importTable,
	"/organisations": (*visit).organisations,
	"/organisation":  (*visit).organisation,
	"/approvals":     (*visit).approvals,
	"/trail":         (*visit).trail,
	"/event":         (*visit).event,
	"/messages":      (*visit).sent,
}

// personal are the pages below /person/ID, beside acts.
var personal = map[string]page{
	"":       (*visit).person,
	"edit":   (*visit).edit,
	"key":    (*visit).key,
	"caller": (*visit).caller,
	"token":  (*visit).newToken,
}

// route finds the page of a path below /admin.
func route(path string) (p page, arg string) {
	if p, ok := plain[path]; ok {
		return p, ""
	}
	rest, ok := strings.CutPrefix(path, "/person/")
	if !ok {
		return nil, ""
	}
	id, name, _ := strings.Cut(rest, "/")
	if id == "" {
		return nil, ""
	}
	if p, ok := personal[name]; ok {
		return p, id
	}
	if a, ok := acts[name]; ok {
		return func(q *visit, id string) error { return q.act(name, a, id) }, id
	}
	return nil, ""
}
