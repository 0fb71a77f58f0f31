package caddymodule

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/caddymodule/guest"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/author"
)

// codeLoginPageOpen: what a rule protects is passed as a page of the login.
const codeLoginPageOpen = "login-page-open"

// lintLoginPages names the login pages and sign-outs of a watched form that
// pass without a session where a rule wants more than that. What the default
// or a rule for the whole site wants is no sign: every login stands within it.
func (d *drawing) lintLoginPages(h *Handler, form *guest.SignInLegacyForm) []author.Finding {
	var found []author.Finding
	add := func(option, path string, methods ...string) {
		f := author.Finding{Code: codeLoginPageOpen, Site: h.Origin}
		place, _, _ := strings.Cut(path, "?")
		rule, asks := h.protecting(place, methods)
		free := freeFields(path)
		switch {
		case rule != nil:
			f.Text = fmt.Sprintf("%s %s is passed without a session, and `%s` asks for more at its path", option, path, rule.Pattern())
			f.Mend = "name the fields of its query one by one, so that the app shows its form alone"
		case asks && option == "login_page" && len(free) > 0:
			f.Note = true
			f.Text = fmt.Sprintf("%s %s is passed without a session, whatever is in %s: where that chooses a page, the app alone decides who sees it", option, path, strings.Join(free, ", "))
			f.Mend = "leave out of its query what chooses a page"
		default:
			return
		}
		f.Mend += fmt.Sprintf("; or, where the app shows nothing else there, write `# lint: ok %s: REASON` behind it", codeLoginPageOpen)
		pos := parsePosition(h.Source)
		f.File, f.Line = pos.File, pos.Line
		for _, line := range d.linesOf(option, path) {
			if line >= pos.Line {
				f = d.at(f, []int{line})
				break
			}
		}
		found = append(found, f)
	}
	for _, page := range form.LoginPages {
		add("login_page", page, http.MethodGet)
	}
	for _, t := range form.SignOut {
		add("sign_out", t.Path, cmp.Or(t.Method, http.MethodGet), cmp.Or(t.Method, http.MethodPost))
	}
	return found
}

// protecting finds a rule for part of the site by which a path needs more than
// a sign-in, and tells whether anything asks for anything there.
func (h *Handler) protecting(path string, methods []string) (rule *policy.Rule, asks bool) {
	readings, err := h.gate.Reader.Read(path)
	if err != nil {
		return nil, false
	}
	signedIn, _ := h.gate.Policy.Level(policy.LevelSignedIn)
	for i := range readings.Len() {
		for _, method := range methods {
			for _, r := range h.gate.Policy.RulesFor(method, readings.Path(i)) {
				asks = asks || r.Verb() == policy.VerbRequire
				whole := r.Pattern().Subtree() && len(r.Pattern().Parts()) == 0
				if r == h.gate.Policy.Default() || whole || r.Verb() != policy.VerbRequire {
					continue
				}
				if len(r.Groups())+len(r.Users()) > 0 || h.gate.Policy.Weaker(signedIn.Set(), r.Levels()|r.Raised()) {
					return r, true
				}
			}
		}
	}
	return nil, asks
}

// freeFields are the fields of a login page's query that may have any value.
func freeFields(target string) []string {
	_, query, _ := strings.Cut(target, "?")
	var free []string
	for part := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(part, "="); strings.Contains(value, "*") && !slices.Contains(free, name) {
			free = append(free, name)
		}
	}
	return free
}
