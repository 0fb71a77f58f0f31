package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

var notices = []string{
	"Court room 3 is closed until noon.",
	"The registry closes at half past four today.",
	"Please collect your visitor badges at reception.",
	"The docket was printed and sent to the judges' chambers.",
}

func (p *portal) messages(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, http.StatusOK, "messages", "Notice board", nil)
}

// events is a stream of server-sent events: one at once, then one every few
// seconds until the browser goes away or the portal stops.
func (p *portal) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flow := http.NewResponseController(w)
	tick := time.NewTicker(p.notice)
	defer tick.Stop()
	for n := 0; ; n++ {
		data, err := json.Marshal(struct {
			At   time.Time `json:"at"`
			User string    `json:"user"`
			Text string    `json:"text"`
		}{p.now().UTC(), visitorOf(r).User, notices[n%len(notices)]})
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "id: %d\nevent: notice\ndata: %s\n\n", n, data); err != nil || flow.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
