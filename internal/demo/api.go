package demo

import (
	"encoding/json"
	"net/http"
	"runtime"
	"time"
)

// caseAnswer is the JSON of the two calls that the live page makes.
type caseAnswer struct {
	Case   string    `json:"case"`
	Status string    `json:"status"`
	User   string    `json:"user"`
	At     time.Time `json:"at"`
	Error  string    `json:"error,omitempty"`
}

func (p *portal) caseStatus(w http.ResponseWriter, r *http.Request) {
	c, ok := p.records.byID(r.PathValue("id"))
	if !ok {
		p.answer(w, r, http.StatusNotFound, caseAnswer{Error: "no such case"})
		return
	}
	p.answer(w, r, http.StatusOK, caseAnswer{Case: c.Docket, Status: c.Status})
}

func (p *portal) closeCase(w http.ResponseWriter, r *http.Request) {
	c, ok := p.records.byID(r.PathValue("id"))
	switch {
	case !ok:
		p.answer(w, r, http.StatusNotFound, caseAnswer{Error: "no such case"})
	case !p.tokenFits(r, r.Header.Get("X-Portal-Token")):
		p.answer(w, r, http.StatusForbidden, caseAnswer{Case: c.Docket, Status: c.Status, Error: "session expired"})
	case !p.records.close(c.ID):
		p.answer(w, r, http.StatusConflict, caseAnswer{Case: c.Docket, Status: statusClosed, Error: "already closed"})
	default:
		p.answer(w, r, http.StatusOK, caseAnswer{Case: c.Docket, Status: statusClosed})
	}
}

// answer fills in who asked and when.
func (p *portal) answer(w http.ResponseWriter, r *http.Request, status int, a caseAnswer) {
	a.User, a.At = visitorOf(r).User, p.now().UTC()
	writeJSON(w, status, a)
}

// debugVars tells strangers about the process, as a forgotten debug page does.
func (p *portal) debugVars(w http.ResponseWriter, _ *http.Request) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	writeJSON(w, http.StatusOK, struct {
		Goroutines int    `json:"goroutines"`
		HeapBytes  uint64 `json:"heap_bytes"`
		Version    string `json:"version"`
	}{runtime.NumGoroutine(), mem.HeapAlloc, runtime.Version()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
