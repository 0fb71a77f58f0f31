package legacyform

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/weld"
)

func compileConditions(option string, all []Condition) ([]condition, error) {
	var made []condition
	var errs []error
	for _, c := range all {
		one, err := compileCondition(c)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", option, c.Kind, err))
			continue
		}
		made = append(made, one)
	}
	return made, errors.Join(errs...)
}

func compileCondition(c Condition) (condition, error) {
	made := condition{kind: c.Kind, name: c.Name}
	needsName := c.Kind == "header" || c.Kind == "cookie"
	switch {
	case !slices.Contains(ConditionKinds, c.Kind):
		return made, fmt.Errorf("expected one of %s", strings.Join(ConditionKinds, ", "))
	case needsName && c.Name == "":
		return made, errors.New("expected a name")
	case !needsName && len(c.Values) == 0:
		return made, errors.New("expected one or more values")
	}
	for _, v := range c.Values {
		if err := made.add(v); err != nil {
			return made, err
		}
	}
	return made, nil
}

func (c *condition) add(v string) error {
	switch c.kind {
	case "status":
		if !statusGlob.MatchString(v) {
			return fmt.Errorf("%s: expected a status such as 302 or 3xx", v)
		}
		c.globs = append(c.globs, weld.Glob(strings.NewReplacer("x", "*", "X", "*").Replace(v)))
	case "body":
		pattern, err := regexp.Compile(v)
		if err != nil {
			return fmt.Errorf("%s: %w", v, err)
		}
		c.patterns = append(c.patterns, pattern)
	case "location":
		return c.addLocation(v)
	default:
		c.globs = append(c.globs, weld.Glob(v))
	}
	return nil
}

func (c *condition) addLocation(v string) error {
	rest, not := strings.CutPrefix(v, "!")
	path, query, _ := strings.Cut(rest, "?")
	if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "*") {
		return fmt.Errorf("%s: expected a path, such as /home or !/login*", v)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("%s: %w", v, err)
	}
	l := location{not: not, path: weld.Glob(strings.ToLower(path))}
	for name, all := range values {
		for _, value := range all {
			l.query = append(l.query, Field{name, value})
		}
	}
	c.locations = append(c.locations, l)
	return nil
}

var statusGlob = regexp.MustCompile(`^[1-5]([0-9]{2}|xx|XX)$`)
