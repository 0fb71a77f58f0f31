package gate

import (
	"net/http"
	"net/netip"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/policy"
)

// surroundings are where the last request of a session came from.
type surroundings struct {
	client netip.Addr
	agent  string
	risk   policy.Risk
}

// look gives the risk of a session, scored anew where its address or browser
// is another than at the last request. Without a change it compares two texts.
// A risk that cannot be found out is a missing fact, which raises.
func (h visitors) look(r *http.Request, live *Live, v visitor) policy.Risk {
	if live.Ceremonies.Scorer == nil {
		return v.memo.risk
	}
	client, agent := h.Server.Client(r), r.UserAgent()
	if last := v.memo.around.Load(); last != nil && last.client == client && last.agent == agent {
		return last.risk
	}
	risk, err := live.Ceremonies.Reassess(r, v.entry)
	if err != nil {
		h.Log.Error("score a session whose surroundings changed", zap.Error(err))
		return policy.RiskUnset
	}
	if agent == v.entry.Session.UserAgent {
		agent = v.entry.Session.UserAgent // one text is kept, not two
	}
	v.memo.around.Store(&surroundings{client, agent, risk})
	return risk
}
