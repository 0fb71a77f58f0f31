package gate

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/stepgate/stepgate/internal/inject"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// scripts is the script that is added to pages of the app.
type scripts struct{ *Handler }

// page is how the script gets into the answer to a request; nil where it does
// not.
func (h scripts) page(r *http.Request, p *passage, v visitor) *inject.Page {
	if h.Script == nil {
		return nil
	}
	if !inject.Wanted(r) {
		return h.Script.Fetched()
	}
	page := &inject.Page{Script: h.Script, Shown: true, Login: p.login}
	inject.Narrow(r.Header)
	if live := h.live.Load(); live != nil && v.entry != nil {
		page.Mark, page.Ends = v.entry.Session.Mark(), live.Sessions.ExpiresIn(v.entry)
	}
	return page
}

// ahead judges a request that has not been made, and that may have a body of
// which nothing is known. A proof that opens one request only cannot be made
// beforehand.
func (h scripts) ahead(r *http.Request, e *session.Entry, method, at string) (policy.LevelSet, bool) {
	u, err := url.ParseRequestURI(at)
	if err != nil || !strings.HasPrefix(at, "/") || method != http.MethodGet && method != http.MethodPost {
		return 0, false
	}
	thought := r.WithContext(r.Context())
	thought.Method, thought.RequestURI, thought.URL, thought.Body = method, at, u, http.NoBody
	thought.Header = r.Header.Clone()
	for _, name := range []string{"Content-Type", "Content-Length", "Sec-Fetch-Mode", "Sec-Fetch-Dest"} {
		thought.Header.Del(name)
	}
	thought.Header.Set("Sec-Fetch-Mode", "navigate")
	p := passages.Get().(*passage)
	defer p.release()
	if p.sent, err = h.Reader.Read(at); err != nil || p.sent.AnyBelow(h.Prefix) {
		return 0, false
	}
	v := visitor{entry: e}
	if live := h.live.Load(); live != nil && e != nil {
		v.memo = visitors(h).memo(e, live.now())
	}
	d := h.Policy.Decide(p.facts(h.Handler, thought, v))
	return d.Needed, d.Outcome == policy.StepUp && d.Needed&h.Policy.OnceLevels() == 0
}

// servesScript tells whether a path below the prefix is the script's, which is there
// without a store.
func (h scripts) servesScript(path string) bool {
	return h.Script != nil && h.Script.Serves(path)
}
