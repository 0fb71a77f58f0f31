package command

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

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
