package web

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// ReportsPath is where, below the prefix, browsers report what the policy of a
// page stopped (CSP3 §5.5; ASVS 3.4.7).
const ReportsPath = "/csp-report"

const (
	maxReportBytes = 8 << 10
	// reportEvery bounds what strangers can have written to the log.
	reportEvery = time.Second
)

var cspWord = regexp.MustCompile(`^[a-z-]{1,40}$`)

// violation is the part of a report that is kept. The page's address is not:
// it may hold a link's token.
type violation struct {
	Report struct {
		Directive string `json:"effective-directive"`
		Blocked   string `json:"blocked-uri"`
	} `json:"csp-report"`
}

// Reports takes the reports of pages of a site whose Reports is set, at most
// one a second, and logs which directive stopped what, for debugging a template
// and noticing an attack. The answer is always 204: it tells a stranger nothing.
func (k *Kit) Reports(site *Site) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Harden(w.Header(), site)
		defer w.WriteHeader(http.StatusNoContent)
		if r.Method != http.MethodPost || !k.reportDue() {
			return
		}
		var v violation
		body := http.MaxBytesReader(w, r.Body, maxReportBytes)
		if data, err := io.ReadAll(body); err != nil || json.Unmarshal(data, &v) != nil {
			return
		}
		if !cspWord.MatchString(v.Report.Directive) || k.options.Log == nil {
			return
		}
		k.options.Log(r.Context(), slog.LevelInfo, "page policy stopped something", "",
			fmt.Errorf("%s stopped %s", v.Report.Directive, blockedSource(v.Report.Blocked)))
	})
}

// reportDue lets one report through a second.
func (k *Kit) reportDue() bool {
	now := k.options.Now().UnixNano()
	last := k.lastReport.Load()
	return now-last >= int64(reportEvery) && k.lastReport.CompareAndSwap(last, now)
}

// blockedSource is a keyword ("inline") or an origin, never a whole address.
func blockedSource(blocked string) string {
	if cspWord.MatchString(blocked) {
		return blocked
	}
	u, err := url.Parse(blocked)
	if err != nil || !cspWord.MatchString(u.Scheme) {
		return "something unnamed"
	}
	return fmt.Sprintf("%q", u.Scheme+"://"+u.Host)
}
