package operation

import (
	"context"
	"net/netip"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

// RiskInput asks how unusual a visit of somebody's would look.
type RiskInput struct {
	Who     people.Who `json:"who"`
	Address netip.Addr `json:"address"`
	// Known says that it would be from a browser that has proved a second
	// factor lately.
	Known bool `json:"known"`
}

// RiskView is how unusual a visit looks, with its reasons.
type RiskView struct {
	Risk    string       `json:"risk"`
	Sum     int          `json:"sum"`
	Medium  int          `json:"medium"`
	High    int          `json:"high"`
	Signals []SignalView `json:"signals"`
}

// SignalView is what one signal says of a visit.
type SignalView struct {
	Signal  string `json:"signal"`
	Weight  int    `json:"weight"`
	Counts  bool   `json:"counts"`
	Unknown bool   `json:"unknown,omitempty"`
	Text    string `json:"text"`
}

// Risk scores a visit.
type Risk func(ctx context.Context, owner account.ID, address netip.Addr, known bool) RiskView

// UserRisk is how unusual a visit of somebody's would look.
var UserRisk = define("user/risk", func(ctx context.Context, p Place, in RiskInput) (RiskView, error) {
	record, err := p.People.Show(ctx, p.Actor, in.Who)
	if err != nil {
		return RiskView{}, err
	}
	return p.Risk(ctx, record.Account.ID, in.Address, in.Known), nil
})
