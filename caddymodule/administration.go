package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/admin"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/author"
)

// adminPath is where administrators' pages begin below the prefix.
const adminPath = "/admin"

// newAdministration makes the administrators' pages of a site.
func (h *Handler) newAdministration(r *runtime, ceremonies *challenge.Site) *admin.Site {
	site := &admin.Site{
		Web: ceremonies.Web, Pages: h.administration, Guard: ceremonies.Guard, Place: ceremonies.Place, Sessions: r.sessions,
		Door: ceremonies, People: r.people, Store: r.store, Recorder: r.recorder, Ledger: r.ledger, Plan: r.plan,
		RelyingParty: ceremonies.RelyingParty.ID, RelyingPartyName: ceremonies.RelyingParty.Name, Address: clientAddress,
		Where: func(address string) string {
			parsed, err := netip.ParseAddr(address)
			if err != nil {
				return ""
			}
			return h.app.whereIs(parsed)
		},
		Explain: explained, Messages: r.messages(h.app), Now: time.Now,
	}
	if keys, ok := r.factors.Enroller(policy.WebAuthn); ok {
		site.Key = keys
	}
	return site
}

// explained writes the policy's own account of a decision for people.
func explained(raw json.RawMessage) (string, error) {
	var x policy.Explanation
	if err := json.Unmarshal(raw, &x); err != nil {
		return "", fmt.Errorf("read the explanation: %w", err)
	}
	var text strings.Builder
	err := author.RenderExplanation(&text, x)
	return text.String(), err
}

// messages tells what went out this month by each channel that has a provider.
func (r *runtime) messages(a *App) func(context.Context) ([]admin.Messages, error) {
	return func(ctx context.Context) ([]admin.Messages, error) {
		var all []admin.Messages
		budget := a.newSendBudget(r)
		for _, channel := range []string{delivery.SMS, delivery.Email} {
			if !a.has(channel) {
				continue
			}
			plan := budget.plans[channel]
			sent, err := r.ledger.Used(ctx, plan.Month(channel))
			if err != nil {
				return nil, err
			}
			m := admin.Messages{Channel: channel, Sent: sent, Left: -1, Limit: -1}
			if channel == delivery.SMS {
				m.Limit, m.Left, m.Cost = a.Codes.SMSPerMonth, max(0, a.Codes.SMSPerMonth-sent), a.Codes.cost(sent)
			}
			all = append(all, m)
		}
		return all, nil
	}
}

// cost is what text messages cost together, "" where nobody said what one does.
func (c *CodesConfig) cost(sent int) string {
	price, currency, err := c.price()
	if err != nil || price == nil {
		return ""
	}
	return price.Mul(price, big.NewRat(int64(sent), 1)).FloatString(2) + " " + currency
}

// price reads `sms_price`: an amount and perhaps a currency.
func (c *CodesConfig) price() (*big.Rat, string, error) {
	if c.SMSPrice == "" {
		return nil, "", nil
	}
	amount, currency, _ := strings.Cut(c.SMSPrice, " ")
	price, ok := new(big.Rat).SetString(amount)
	if !ok || price.Sign() < 0 || strings.ContainsAny(amount, "/eE") {
		return nil, "", errors.New("expected an amount and a currency, such as \"0.04 GBP\"")
	}
	return price, strings.TrimSpace(currency), nil
}

// callers are how the helpdesk finds out who is calling.
func (r *runtime) callers(a *App) *people.Callers {
	budget := a.newSendBudget(r)
	return &people.Callers{MAC: r.ring.LastingMAC, Send: func(ctx context.Context, to account.Account, held account.Credential, code string) error {
		if !r.outbox.Offers(held.Factor) {
			return delivery.ErrPermanent
		}
		s := oob.Spending{Channel: held.Factor, Destination: held.Address, Account: to.ID, Held: true}
		if number, err := account.ReadNumber(held.Address, a.numbers().Region); err == nil && held.Factor == delivery.SMS {
			s.Country = number.Country
		}
		refund, err := budget.Spend(ctx, s)
		if err != nil {
			return err
		}
		m := a.callerMessage(code)
		m.Channel, m.To, m.Account, m.ExpiresAt, m.Charged = held.Factor, held.Address, string(to.ID), time.Now().Add(10*time.Minute), true
		if err := r.outbox.Post(ctx, m); err != nil {
			return errors.Join(err, refund(ctx))
		}
		return nil
	}}
}

// callerTexts are the subject and the body of the code that a caller reads out.
var callerTexts = [2]factors.Words{
	{"en": "the helpdesk asks who you are", "cy": "mae'r ddesg gymorth yn gofyn pwy ydych chi"},
	{
		"en": "you are on the phone with the helpdesk. Read this code out to them: {code}. If you are not, somebody else is calling in your name: tell nobody the code.",
		"cy": "rydych ar y ffôn gyda'r ddesg gymorth. Darllenwch y cod hwn iddynt: {code}. Os nad ydych, mae rhywun arall yn ffonio yn eich enw: peidiwch â rhoi'r cod i neb.",
	},
}

// callerMessage is the code in the languages and the name of the first site.
func (a *App) callerMessage(code string) delivery.Message {
	name, languages := "Stepgate", []string{web.DefaultLanguage}
	for _, site := range a.sites {
		if site.gate.Web != nil {
			name, languages = site.gate.Web.Name, site.languages()
			break
		}
	}
	var parts []string
	for _, language := range languages {
		parts = append(parts, name+": "+strings.ReplaceAll(callerTexts[1].In(language), "{code}", code))
	}
	return delivery.Message{Subject: name + ": " + callerTexts[0].In(languages[0]), Body: strings.Join(parts, "\n")}
}

func checkPrice(text string) error {
	_, _, err := (&CodesConfig{SMSPrice: text}).price()
	return err
}
