package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/telemetry"
	"github.com/stepgate/stepgate/internal/throttle"
)

// provisionSenders loads the providers of texts and e-mail. A provider is any
// module of the two namespaces that is a delivery.Sender.
func (a *App) provisionSenders(ctx caddy.Context) error {
	a.senders = map[string]delivery.Sender{}
	for _, p := range []struct {
		channel, field string
		given          bool
	}{{delivery.SMS, "SMS", len(a.SMS) > 0}, {delivery.Email, "Email", len(a.Email) > 0}} {
		if !p.given {
			continue
		}
		module, err := ctx.LoadModule(a, p.field)
		if err != nil {
			return fmt.Errorf("%s%s: %w", a.where(), p.channel, err)
		}
		sender, ok := module.(delivery.Sender)
		if !ok {
			return fmt.Errorf("%s%s: %T sends no messages", a.where(), p.channel, module)
		}
		a.senders[p.channel] = tracedSender{&delivery.Breaker{Sender: sender}}
		if named, ok := module.(interface{ Introduce(host string) }); ok {
			a.introductions = append(a.introductions, named.Introduce)
		}
	}
	return nil
}

// tracedSender makes a message a step of the trace in which it is sent.
type tracedSender struct{ delivery.Sender }

// Send implements delivery.Sender.
func (s tracedSender) Send(ctx context.Context, m delivery.Message) error {
	ctx, step := telemetry.Begin(ctx, "stepgate send")
	step.Say("stepgate.channel", m.Channel)
	err := s.Sender.Send(ctx, m)
	step.End(err)
	return err
}

// introduceSenders tells providers the host that messages are from: that of the first
// site.
func (a *App) introduceSenders() {
	if len(a.sites) == 0 {
		return
	}
	origin, err := url.Parse(a.sites[0].Origin)
	if err != nil {
		return
	}
	for _, introduce := range a.introductions {
		introduce(origin.Hostname())
	}
}

// numbers are those that texts may go to.
func (a *App) numbers() oob.Numbers {
	n := oob.Numbers{Region: strings.ToUpper(a.Region)}
	for _, country := range a.Codes.SMSCountries {
		n.Countries = append(n.Countries, strings.ToUpper(country))
	}
	return n
}

// sendBudget is oob.Budget over the throttle's plans of messages.
type sendBudget struct {
	ledger   *throttle.Ledger
	plans    map[string]*throttle.SendPlan
	recorder *audit.Recorder
}

// heldShare of the monthly ceiling is kept for credentials already held.
const heldShare = 5

func (a *App) newSendBudget(r *runtime) *sendBudget {
	texts, mails := throttle.DefaultSendPlan(r.ring.LastingMAC), throttle.DefaultSendPlan(r.ring.LastingMAC)
	// The half minute between two codes is oob's, within one ceremony: who
	// has just enrolled a number need not wait to sign in in another browser.
	hours := throttle.Rates{{Limit: 5, Per: time.Hour}, {Limit: 10, Per: 24 * time.Hour}}
	texts.Destination, mails.Destination = hours, hours
	texts.PerMonth = a.Codes.SMSPerMonth
	texts.KeptPerMonth = a.Codes.SMSPerMonth / heldShare
	return &sendBudget{
		ledger: r.ledger, recorder: r.recorder, plans: map[string]*throttle.SendPlan{delivery.SMS: texts, delivery.Email: mails},
	}
}

// Spend implements oob.Budget.
func (b *sendBudget) Spend(ctx context.Context, s oob.Spending) (func(context.Context) error, error) {
	receipt, err := b.ledger.Spend(ctx, b.plans[s.Channel].Charges(throttle.Message{
		Channel: s.Channel, Destination: s.Destination, Account: string(s.Account), Address: s.Address, Country: s.Country, Held: s.Held,
	})...)
	if spent := (*throttle.Spent)(nil); errors.As(err, &spent) {
		e := blocked(s.Channel, "budget-"+strings.ReplaceAll(spent.Which, " ", "-"))
		e.Account, e.Site, e.Address = string(s.Account), s.Site, s.Address.String()
		return nil, errors.Join(err, b.recorder.Record(ctx, e))
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return b.ledger.Refund(ctx, receipt) }, nil
}

// Answered implements oob.Budget.
func (b *sendBudget) Answered(ctx context.Context, channel string, owner account.ID) error {
	return b.ledger.Clear(ctx, b.plans[channel].Answered(channel, string(owner)))
}

func blocked(channel, reason string) audit.Event {
	e := audit.Event{At: time.Now().UTC(), Name: audit.SMSBlocked, Factor: channel, Outcome: "fail", Reason: reason}
	if channel == delivery.Email {
		e.Name = audit.EmailBlocked
	}
	return e
}

// newOutbox makes the outbox of a store. Every message that goes out, or does
// not, is in the audit trail; why a provider refused is in the log.
func (s *shared) newOutbox() *delivery.Outbox {
	report := func(m delivery.Message, err error) {
		if err != nil {
			s.log.Load().Error("message not sent", zap.String("channel", m.Channel), zap.String("id", m.ID), zap.Error(err))
		}
		if m.Channel == "" {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.recorder.Record(ctx, outcomeOf(m, err)); err != nil {
			s.log.Load().Error("keep the event of a message", zap.Error(err))
		}
		if err != nil || m.Charged {
			return
		}
		if err := s.count(ctx, m); err != nil {
			s.log.Load().Error("count a message", zap.Error(err))
		}
	}
	return delivery.NewOutbox(delivery.Options{Store: s.store, Report: report})
}

// count counts a message in its month that no budget was asked about: an
// invitation, or what a person is told. The ceiling refuses none of them, and
// has less left for codes.
func (s *shared) count(ctx context.Context, m delivery.Message) error {
	_, err := s.ledger.Spend(ctx, throttle.DefaultSendPlan(s.ring.LastingMAC).Month(m.Channel))
	return err
}

func outcomeOf(m delivery.Message, err error) audit.Event {
	if err != nil {
		e := blocked(m.Channel, providerReason(err))
		e.Account = m.Account
		return e
	}
	e := audit.Event{At: time.Now().UTC(), Name: audit.SMSSent, Factor: m.Channel, Account: m.Account, Outcome: "success"}
	if m.Channel == delivery.Email {
		e.Name = audit.EmailSent
	}
	return e
}

func providerReason(err error) string {
	switch {
	case errors.Is(err, delivery.ErrTemporary):
		return "provider-not-now"
	case errors.Is(err, delivery.ErrRefused):
		return "address-refused"
	case errors.Is(err, delivery.ErrPermanent):
		return "provider-refused"
	default:
		return "provider-unknown"
	}
}
