package throttle

import (
	"math"
	"net/netip"
	"time"
)

// Message is one message about to be sent.
type Message struct {
	// Channel is "sms" or "email"; each has budgets of its own.
	Channel string
	// Destination is E.164 or a folded e-mail address.
	Destination string
	// Account is the account's ID; empty where there is none yet.
	Account string
	// Address is the client's that asks for it.
	Address netip.Addr
	// Country is the ISO code of the number's country; empty for e-mail.
	Country string
	// Held says that the destination is a credential that the account holds
	// already and that the person has signed in. Everything else can be
	// asked for by strangers and gets the narrower budgets.
	Held bool
}

// SendPlan names the counters of a message. A budget that is empty is not
// charged.
type SendPlan struct {
	MAC MAC
	// Destination, Account and Total are charged for every message.
	Destination, Account, Total Rates
	// Country bounds what one country can take of Total.
	Country Rates
	// Address is for messages that strangers can ask for; AddressHeld for
	// the others, wide enough for an office behind one address.
	Address, AddressHeld Rates
	// Block is for messages that strangers can ask for, to a thousand
	// neighbouring numbers: what a premium-rate fraud sends to.
	Block Rates
	// Unanswered counts messages since a code of this account was last
	// answered (Ledger.Clear with Answered).
	Unanswered Attempts
	// PerMonth is the ceiling of a calendar month, 0 for none; KeptPerMonth
	// of it are for Held.
	PerMonth, KeptPerMonth int
}

// DefaultSendPlan has the numbers of the package's documentation and no
// monthly ceiling.
func DefaultSendPlan(mac MAC) *SendPlan {
	const day = 24 * time.Hour
	return &SendPlan{
		MAC:         mac,
		Destination: Rates{{1, 30 * time.Second}, {5, time.Hour}, {10, day}},
		Account:     Rates{{5, time.Hour}, {10, day}},
		Total:       Rates{{500, time.Hour}, {5000, day}},
		Country:     Rates{{300, time.Hour}, {3000, day}},
		Address:     Rates{{10, time.Hour}},
		AddressHeld: Rates{{300, time.Hour}},
		Block:       Rates{{50, time.Hour}},
		Unanswered:  Attempts{Free: 5, Delays: []time.Duration{15 * time.Minute}, Decay: day},
	}
}

// blockDigits is how many digits at a number's end a block leaves open.
const blockDigits = 3

// Charges lists what a message is counted against. The receipt is given to
// Ledger.Refund when the message could not be sent, never to Success.
func (p *SendPlan) Charges(m Message) []Charge {
	var charges []Charge
	rates := func(which string, r Rates, what string) {
		if len(r) == 0 || what == "" {
			return
		}
		charges = append(charges, Charge{
			Key: NewKey(p.MAC, "send", m.Channel, which, what), Which: which, Budget: r, Shared: true,
		})
	}
	rates("destination", p.Destination, m.Destination)
	rates("account", p.Account, m.Account)
	rates("country", p.Country, m.Country)
	rates("total", p.Total, "all")
	address := AddressKeyPart(m.Address)
	if m.Held {
		rates("address held", p.AddressHeld, address)
	} else {
		rates("address", p.Address, address)
	}
	if !m.Held && m.Country != "" && len(m.Destination) > blockDigits {
		rates("block", p.Block, m.Destination[:len(m.Destination)-blockDigits])
	}
	if m.Account != "" {
		charges = append(charges, p.Answered(m.Channel, m.Account))
	}
	month := p.Month(m.Channel)
	if p.PerMonth > 0 {
		month.Budget = Ceiling{Limit: p.PerMonth, Kept: p.KeptPerMonth, Held: m.Held}
	}
	return append(charges, month)
}

// Month is the count of what went out by a channel in this calendar month, for
// Ledger.Used, and for Ledger.Spend of what goes out whatever the ceiling is.
func (p *SendPlan) Month(channel string) Charge {
	return Charge{Key: NewKey(p.MAC, "send", channel, "month"), Which: "month", Shared: true, Budget: Ceiling{Limit: math.MaxInt}}
}

// Answered is what Ledger.Clear is given once a code that came by the channel
// was answered rightly.
func (p *SendPlan) Answered(channel, account string) Charge {
	return Charge{Key: NewKey(p.MAC, "send", channel, "unanswered", account), Which: "unanswered", Budget: p.Unanswered}
}
