package author

import (
	"fmt"
	"io"
	"strings"

	"github.com/stepgate/stepgate/policy"
)

// Render writes a change for people.
func (c Change) Render(w io.Writer) error {
	where := c.Pattern
	if len(c.Methods) > 0 {
		where += " for " + methodNames(c.Methods)
	}
	if c.When != "" {
		where += ", when " + c.When
	}
	if c.Group != "" {
		where += ", for group " + c.Group
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s %s\n", c.Direction, where)
	fmt.Fprintf(&b, "          here: %s\n", visible(c.Request))
	fmt.Fprintf(&b, "          %s -> %s", words(c.Old), words(c.New))
	if len(c.Suffices) > 0 {
		fmt.Fprintf(&b, "; now suffices: %s", strings.Join(c.Suffices, " + "))
	}
	b.WriteByte('\n')
	for _, level := range c.Levels {
		fmt.Fprintf(&b, "          level %s\n", level)
	}
	for _, why := range c.Because {
		fmt.Fprintf(&b, "          cannot be decided because of: %s\n", visible(why))
	}
	fmt.Fprintf(&b, "          was: %s\n          is:  %s\n", ruleOrDefault(c.OldRule), ruleOrDefault(c.NewRule))
	_, err := io.WriteString(w, b.String())
	return err
}

// methodNames are those of a change; `*` stands for what no rule names.
func methodNames(methods []string) string {
	return strings.Replace(strings.Join(methods, ", "), "*", "other methods", 1)
}

func ruleOrDefault(r *policy.RuleExplanation) string {
	if r == nil {
		return "the default"
	}
	return rule(*r)
}
