package command

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/author"
)

func policyExplainCommand() *cobra.Command {
	c := leaf("explain [METHOD] URL", "Tells which rule decides about a request, and which levels it needs", cobra.RangeArgs(1, 2), explainPolicy)
	factFlags(c)
	c.Flags().String("user", "", "the `username` of an account, for its groups, organisation and requirements")
	sourceFlag(c)
	reportOnlyFlag(c)
	c.Example = "  stepgate policy explain /cases/7\n" +
		"  stepgate policy explain POST 'https://portal.example.gov/app.do?action=delete' --user joe --device private"
	return c
}

func explainPolicy(c *cobra.Command, args []string) error {
	facts, err := factsOf(c)
	if err != nil {
		return err
	}
	if name := flagText(c, "user"); name != "" && facts.SignedIn {
		return usagef("--user says who it is: leave out --group and --organisation")
	}
	if len(args) == 2 {
		facts.Method, args = strings.ToUpper(args[0]), args[1:]
	}
	var host string
	if host, facts.Target, err = author.ParseURL(args[0]); err != nil {
		return usagef("%s", err)
	}
	d, err := drawConfigured(c)
	if err != nil {
		return err
	}
	var score *operation.RiskView
	if name := flagText(c, "user"); name != "" {
		if score, err = lookUp(c, name, &facts); err != nil {
			return err
		}
	}
	site, err := author.Choose(sitesOf(c, d), host)
	if err != nil {
		return err
	}
	answer := explanation{Answer: site.InFull(site.Explain(facts), facts.Now), Risk: score}
	if score == nil {
		answer.Scale = scaleOf(d.RiskScale())
	}
	if p := newPrinter(c); p.json {
		return p.object(answer)
	}
	return answer.render(c.OutOrStdout())
}

// explanation is an answer with the score of the visit, where that was asked
// for, or else with what it would be scored by.
type explanation struct {
	author.Answer
	Risk  *operation.RiskView `json:"risk,omitempty"`
	Scale *riskScale          `json:"risk_scale,omitempty"`
}

// riskScale is what visits are scored by.
type riskScale struct {
	Medium  int            `json:"medium"`
	High    int            `json:"high"`
	Weights map[string]int `json:"weights"`
	order   []string
}

func scaleOf(all *operation.RiskView) *riskScale {
	if all == nil {
		return nil
	}
	s := &riskScale{Medium: all.Medium, High: all.High, Weights: map[string]int{}}
	for _, signal := range all.Signals {
		s.Weights[signal.Signal] = signal.Weight
		s.order = append(s.order, fmt.Sprintf("%s %d", signal.Signal, signal.Weight))
	}
	return s
}

func (e explanation) render(out io.Writer) error {
	err := e.Answer.Render(out)
	switch {
	case err != nil:
		return err
	case e.Risk != nil:
		return renderRisk(out, *e.Risk)
	case e.Scale != nil:
		_, err = fmt.Fprintf(out, "  weights     %s; medium from %d, high from %d\n", strings.Join(e.Scale.order, ", "), e.Scale.Medium, e.Scale.High)
	}
	return err
}

// renderRisk tells each signal with its weight, and the sum.
func renderRisk(out io.Writer, score operation.RiskView) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "risk\t%s\t%d\tmedium from %d, high from %d\n", score.Risk, score.Sum, score.Medium, score.High)
	for _, s := range score.Signals {
		sign := "-"
		switch {
		case s.Unknown:
			sign = "? counts"
		case s.Counts:
			sign = "counts"
		}
		fmt.Fprintf(table, "  %s\t%s\t%d\t%s\n", s.Signal, sign, s.Weight, s.Text)
	}
	return table.Flush()
}

// lookUp takes the facts of an account from the store, and where an address is
// given and no risk, scores a visit from there.
func lookUp(c *cobra.Command, name string, facts *author.Facts) (*operation.RiskView, error) {
	var score *operation.RiskView
	err := atDesk(c, func(d *desk) error {
		u, err := ask(c.Context(), d, operation.UserShow, who(c, name))
		if err != nil {
			return err
		}
		all, err := ask(c.Context(), d, operation.OrganisationList, struct{}{})
		if err != nil {
			return err
		}
		owner := session.Owner{Account: account.Account{TwoFactor: u.TwoFactor}}
		for _, o := range all {
			if o.Name == u.Organisation {
				owner.Require = o.Require
			}
		}
		facts.SignedIn, facts.Username, facts.Groups, facts.Organisation = true, u.Username, u.Groups, u.Organisation
		facts.Requires = owner.Requires()
		if u.Suspended {
			c.PrintErrf("Note: %s is suspended and cannot sign in\n", visible(u.Username))
		}
		address, err := netip.ParseAddr(facts.ClientIP)
		if err != nil || facts.Risk != policy.RiskUnset {
			return nil
		}
		in := operation.RiskInput{Who: who(c, name), Address: address, Known: facts.Device == policy.DevicePrivate}
		view, err := ask(c.Context(), d, operation.UserRisk, in)
		if err == nil {
			score = &view
			facts.Risk, _ = policy.ParseRisk(view.Risk)
		}
		return err
	})
	return score, err
}
