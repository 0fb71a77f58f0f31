package author

import (
	"strings"
	"testing"
)

func TestCoverageNamesWhatNoAssertionTouches(t *testing.T) {
	s := siteOf(t, contractSample)
	c := NewCoverage(s, noon)
	list, all := c.Untouched()
	if len(list) != all || all != 13 {
		t.Fatalf("%d of %d untouched at first", len(list), all)
	}
	for _, u := range list {
		if u.Suggest == "" {
			continue
		}
		assertions, err := ReadAssertions("suggested", strings.NewReader(u.Suggest))
		if err != nil || len(assertions) != 1 {
			t.Fatalf("%s: %v", u.Suggest, err)
		}
		assertions[0].Facts.Now = noon
		v, err := assertions[0].Check(s)
		if err != nil || !v.Holds {
			t.Errorf("%s: %v, %v", u.Suggest, err, v)
		}
		c.See(v.Answer)
	}
	rest, _ := c.Untouched()
	for _, u := range rest {
		if u.Suggest != "" {
			t.Errorf("what was suggested for %s does not touch it: %s", u.Text, u.Suggest)
		}
	}
	if len(rest) > 1 {
		t.Errorf("untouched: %+v", rest)
	}
}
