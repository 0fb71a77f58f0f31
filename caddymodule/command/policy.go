package command

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/author"
)

// buildPolicy draws
//
//	policy explain [METHOD] URL [--user U | --group G… --organisation O] [--client-ip IP]
//	               [--device D] [--risk R] [--header "NAME: VALUE"]… [--form NAME=VALUE]… [--at TIME]
//	policy lint [--strict] [--ignore CODE]…
//	policy test FILE… [--coverage] [--threshold N] [--suggest]
//	policy diff OLD NEW [--log FILE]… [--format FORMAT] [--fail-on weaker|any] [--html FILE]
//	policy rehearse LOG… [--format FORMAT] [--top N] [--propose] [--html FILE]
//
// All but lint take --report-only.
func buildPolicy(cmd *cobra.Command) {
	cmd.Long = "What a policy asks for, and why. The commands compile the policy of the configuration as\n" +
		"the gateway does and open no store; only `explain --user` looks somebody up.\n\n" +
		"A URL may be a path: it then belongs to the first site. The host of a whole URL\n" +
		"chooses the site."
	configFlags(cmd)
	group(cmd)
	cmd.AddCommand(policyExplainCommand(), policyLintCommand(), policyTestCommand(), policyDiffCommand(), policyRehearseCommand())
}

// factFlags are the facts that may be said of a request.
func factFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringArray("group", nil, "a `group` of the person; repeat for several")
	flags.String("organisation", "", "the person's `organisation`")
	flags.String("client-ip", "", "the client's `address`")
	flags.String("country", "", "where the client is, by its ISO 3166 `code`")
	flags.String("device", "", "unknown, public or private")
	flags.String("risk", "", "low, medium or high")
	flags.StringArray("header", nil, "a request header as `NAME: VALUE`; repeat for several")
	flags.StringArray("form", nil, "a field of a form in the body as `NAME=VALUE`; repeat for several")
	flags.String("at", "", "the moment, such as `2026-03-02T09:00:00Z`; default now")
}

// factsOf reads them. Device, risk and address that nobody says are those of
// an ordinary first visit.
func factsOf(c *cobra.Command) (author.Facts, error) {
	var f author.Facts
	for _, name := range author.Flags() {
		flag := c.Flags().Lookup(name)
		if flag == nil || !flag.Changed || name == "user" { // that one is looked up

			continue
		}
		values := []string{flag.Value.String()}
		if flag.Value.Type() == "stringArray" {
			values, _ = c.Flags().GetStringArray(name)
		}
		for _, value := range values {
			if err := f.Set(name, value); err != nil {
				return f, usagef("%s", err)
			}
		}
	}
	if f.Now.IsZero() {
		f.Now = time.Now()
	}
	return f, nil
}

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

func policyTestCommand() *cobra.Command {
	c := leaf("test FILE…", "Holds the policy against files of assertions", cobra.MinimumNArgs(1), testPolicy)
	reportOnlyFlag(c)
	c.Flags().Bool("coverage", false, "name the rules, raises, conditions and readings that no assertion touches")
	c.Flags().Int("threshold", 0, "exit 1 where assertions touch less than `N` percent of them")
	c.Flags().Bool("suggest", false, "print assertions that hold now for what none touches")
	c.Long = "Each line of a file asserts what one request needs:\n\n" +
		"  METHOD URL [--group G] [--organisation O] [--client-ip IP] [--device D] [--risk R] -> LEVEL…|public|deny|400\n\n" +
		"The policy's own `assert FILE` holds the same lines at every start and reload."
	return c
}

func testPolicy(c *cobra.Command, files []string) error {
	d, err := drawConfigured(c)
	if err != nil {
		return err
	}
	sites, p, all, failed := sitesOf(c, d), newPrinter(c), 0, 0
	var errs []error
	covered := map[*author.Site]*author.Coverage{}
	for _, site := range sites {
		covered[site] = author.NewCoverage(site, time.Now())
	}
	for _, file := range files {
		list, err := readAssertions(c, file)
		errs = append(errs, err)
		for _, a := range list {
			site, err := author.Choose(sites, a.Host)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %w", a.File, a.Line, err))
				continue
			}
			verdict, err := a.Check(site)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			all++
			covered[site].See(a.Facts, verdict.Answer)
			if !verdict.Holds {
				failed++
			}
			if err := printVerdict(p, verdict); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d assertions do not hold", failed, all)
	}
	if all == 0 {
		return errors.New("the files have no assertion in them")
	}
	if !p.json {
		fmt.Fprintf(p.out, "%d assertions hold\n", all)
	}
	return printCoverage(c, p, sites, covered)
}

// printCoverage tells what no assertion touches, where that is asked for.
func printCoverage(c *cobra.Command, p printer, sites []*author.Site, covered map[*author.Site]*author.Coverage) error {
	show, _ := c.Flags().GetBool("coverage")
	suggest, _ := c.Flags().GetBool("suggest")
	threshold, _ := c.Flags().GetInt("threshold")
	if !show && !suggest && threshold == 0 {
		return nil
	}
	rules, untouched := 0, 0
	for _, site := range sites {
		list, all := covered[site].Untouched(suggest || p.json)
		rules, untouched = rules+all, untouched+len(list)
		for _, u := range list {
			var err error
			switch {
			case p.json:
				err = p.object(u)
			case show || suggest:
				err = u.Render(p.out, suggest)
			}
			if err != nil {
				return err
			}
		}
	}
	percent := 100 * (rules - untouched) / max(1, rules)
	if !p.json && !suggest {
		fmt.Fprintf(p.out, "assertions touch %d of %d rules, raises, conditions and readings, %d %%\n", rules-untouched, rules, percent)
	}
	if percent < threshold {
		return fmt.Errorf("assertions touch %d %% of rules, raises, conditions and readings, less than %d %%", percent, threshold)
	}
	return nil
}

func readAssertions(c *cobra.Command, file string) ([]author.Assertion, error) {
	if file == "-" {
		return author.ReadAssertions("-", c.InOrStdin())
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory: name the files of assertions in it", file)
	}
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return author.ReadAssertions(file, in)
}

func printVerdict(p printer, v author.Verdict) error {
	switch {
	case p.json:
		return p.object(v)
	case v.Holds:
		return nil
	default:
		_, err := fmt.Fprintln(p.out, v)
		return err
	}
}

func policyLintCommand() *cobra.Command {
	c := leaf("lint", "Finds what is wrong with the policy, and what the configuration leaves open", cobra.NoArgs, lintPolicy)
	c.Flags().Bool("strict", false, "count notes too: what a choice leaves open")
	c.Flags().StringSlice("ignore", nil, "leave out findings with this `code`; repeat for several")
	return c
}

func lintPolicy(c *cobra.Command, _ []string) error {
	d, err := drawConfigured(c)
	if err != nil {
		return err
	}
	found, err := d.Lint()
	if err != nil {
		return err
	}
	ignored, _ := c.Flags().GetStringSlice("ignore")
	p, findings, notes := newPrinter(c), 0, 0
	for _, f := range found {
		if slices.Contains(ignored, f.Code) {
			continue
		}
		if f.Note {
			notes++
		} else {
			findings++
		}
		if p.json {
			err = p.object(f)
		} else {
			err = f.Render(p.out)
		}
		if err != nil {
			return err
		}
	}
	strict, _ := c.Flags().GetBool("strict")
	sum := lintSum(findings, notes, strict)
	if findings > 0 || strict && notes > 0 {
		return errors.New(sum)
	}
	if p.json {
		return nil
	}
	_, err = fmt.Fprintln(p.out, sum)
	return err
}

// lintSum says what lint found, and which of it counts.
func lintSum(findings, notes int, strict bool) string {
	sum := "nothing is wrong with the policy"
	switch {
	case findings == 1:
		sum = "1 finding"
	case findings > 1:
		sum = fmt.Sprintf("%d findings", findings)
	}
	says := "1 note says what a choice leaves open"
	if notes > 1 {
		says = fmt.Sprintf("%d notes say what choices leave open", notes)
	}
	switch {
	case notes == 0:
		return sum
	case strict:
		return sum + ", and --strict counts notes too: " + says
	default:
		return sum + "; " + says
	}
}
