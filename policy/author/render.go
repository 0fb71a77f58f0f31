package author

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/stepgate/stepgate/policy"
)

// Render writes the answer for people.
func (a Answer) Render(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s\n", visible(a.Method), a.Site, visible(a.Target))
	if len(a.Assumed) > 0 {
		fmt.Fprintf(&b, "  assumed     %s\n", strings.Join(a.Assumed, ", "))
	}
	switch {
	case a.Refused != nil:
		fmt.Fprintf(&b, "  needs       nothing helps: refused with 400\n  because     %s (%s)\n", a.Refused.Text, a.Refused.Reason)
	case a.Own:
		b.WriteString("  needs       nothing: it is a page of the gateway itself, which no rule is asked about\n")
	default:
		explanation(&b, a.Explanation)
		if a.Login != "" {
			fmt.Fprintf(&b, "  passes      without a session all the same: it is a %s of the login that is watched\n", a.Login)
		}
		if len(a.Ways) > 0 {
			fmt.Fprintf(&b, "  could pass  whoever signed in with %s\n", ways(a.Ways))
		}
		for i, l := range a.Losing {
			fmt.Fprintf(&b, "  %-11s %s at %s: %s\n", first(i, "lost"), rule(l.RuleExplanation), visible(l.Path), l.Because)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// RenderExplanation writes for people what a policy said about a request:
// what is needed, by which rule and which reading, what raised it, and what
// was missing. `policy explain` and `audit show` have it from here.
func RenderExplanation(w io.Writer, x policy.Explanation) error {
	var b strings.Builder
	explanation(&b, x)
	_, err := io.WriteString(w, b.String())
	return err
}

func explanation(b *strings.Builder, x policy.Explanation) {
	fmt.Fprintf(b, "  needs       %s\n", needs(x))
	fmt.Fprintf(b, "  decided by  %s\n", decidedBy(x))
	if text := reasonText[x.Reason]; text != "" {
		fmt.Fprintf(b, "  because     %s\n", text)
	}
	for i, r := range x.Readings {
		fmt.Fprintf(b, "  %-11s %s\n", first(i, "readings"), reading(r))
	}
	for i, r := range x.RaisedBy {
		fmt.Fprintf(b, "  %-11s %s\n", first(i, "raised by"), raised(r))
	}
	if len(x.Requires) > 0 {
		fmt.Fprintf(b, "  required    %s, by the organisation or the account\n", words(x.Requires))
	}
	if len(x.Missing) > 0 && !same(x.Missing, x.Levels) {
		fmt.Fprintf(b, "  missing     %s\n", words(x.Missing))
	}
}

// ways writes sets of proofs, the first few of them.
func ways(list [][]policy.Factor) string {
	const shown = 8
	var texts []string
	for _, way := range list[:min(len(list), shown)] {
		var names []string
		for _, f := range way {
			names = append(names, string(f))
		}
		if len(names) > 0 {
			texts = append(texts, strings.Join(names, " + "))
		}
	}
	if len(texts) == 0 {
		return "any source"
	}
	text := strings.Join(texts, ", or ")
	if len(list) > shown {
		text += fmt.Sprintf(", or one of %d other ways", len(list)-shown)
	}
	return text
}

func first(i int, word string) string {
	if i == 0 {
		return word
	}
	return ""
}

func needs(x policy.Explanation) string {
	switch {
	case x.Public:
		return "nothing: it is public"
	case x.Deny && len(x.Levels) == 0:
		return "nothing helps: denied with 403"
	case x.Deny:
		return words(x.Levels) + ", but denied with 403"
	default:
		return words(x.Levels)
	}
}

func decidedBy(x policy.Explanation) string {
	if x.Rule == nil {
		if slices.ContainsFunc(x.Readings, func(r policy.ReadingExplanation) bool { return len(r.Rules) > 0 }) {
			return "the default, since no rule matches one of its readings"
		}
		return "the default, since no rule matches"
	}
	return rule(*x.Rule)
}

// rule writes a rule as it stands in a Caddyfile, and where.
func rule(r policy.RuleExplanation) string {
	text := string(r.Verb)
	for _, part := range [][]string{r.Levels, r.Methods, {r.Pattern}} {
		if len(part) > 0 {
			text += " " + strings.Join(part, " ")
		}
	}
	if len(r.Groups) > 0 {
		text += " { group " + strings.Join(r.Groups, " ") + " }"
	}
	return text + place(r.File, r.Line)
}

func place(file string, line int) string {
	if file == "" {
		return ""
	}
	return "  (" + position(file, line) + ")"
}

func position(file string, line int) string { return file + ":" + strconv.Itoa(line) }

func reading(r policy.ReadingExplanation) string {
	var rules []string
	for _, one := range r.Rules {
		rules = append(rules, rule(one))
	}
	if r.Default {
		rules = append(rules, "the default")
	}
	how := strings.ReplaceAll(r.How, "-", " ")
	if r.Rewritten {
		how += ", of what an earlier handler made of it"
	}
	return fmt.Sprintf("%s  [%s]  %s", visible(r.Path), how, strings.Join(rules, "; "))
}

func raised(r policy.RaiseExplanation) string {
	text := r.Level + "  when " + strings.Join(r.Conditions, " and ")
	if r.Pattern != "" {
		text += ", in the rule for " + r.Pattern
	}
	text += place(r.File, r.Line)
	if len(r.Unknown) > 0 {
		text += "  not known and so taken as true: " + strings.Join(r.Unknown, ", ")
	}
	return text
}

var reasonText = map[string]string{
	policy.ReasonSignInNeeded:   "nobody is signed in",
	policy.ReasonLevelMissing:   "a rule or the default asks for what is not proved",
	policy.ReasonLevelRequired:  "the organisation or the account asks for what is not proved",
	policy.ReasonLevelRaised:    "a raise asks for what is not proved",
	policy.ReasonPathDenied:     "a rule or the default denies it to everyone",
	policy.ReasonGroupMissing:   "the person is in none of the rule's groups",
	policy.ReasonRequireUnknown: "the organisation requires a level that is not built in",
	policy.ReasonNothingToJudge: "there was no target to judge",
}

func words(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, " ")
}

func same(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") }

// visible keeps what a stranger wrote from moving a terminal's cursor.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
