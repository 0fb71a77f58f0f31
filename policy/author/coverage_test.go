package author

import (
	"slices"
	"strings"
	"testing"
)

// suggestedOf holds all assertions that a coverage suggests, and tells of those
// that do not hold.
func suggestedOf(t *testing.T, s *Site, c *Coverage) {
	t.Helper()
	list, _ := c.Untouched(true)
	for _, u := range list {
		if u.Suggest == "" {
			t.Logf("nothing is suggested for %s", u.Text)
			continue
		}
		assertions, err := ReadAssertions("suggested", strings.NewReader(u.Suggest))
		if err != nil || len(assertions) != 1 {
			t.Fatalf("%s: %v", u.Suggest, err)
		}
		if assertions[0].Facts.Now.IsZero() {
			assertions[0].Facts.Now = noon
		}
		v, err := assertions[0].Check(s)
		if err != nil || !v.Holds {
			t.Errorf("%s: %v, %v", u.Suggest, err, v)
		}
		one := NewCoverage(s, noon)
		one.See(assertions[0].Facts, v.Answer)
		left, all := one.Untouched(false)
		if len(left) == all || slices.ContainsFunc(left, func(o Untouched) bool { return o.Text == u.Text && o.Line == u.Line }) {
			t.Errorf("what was suggested for %s does not touch it: %s", u.Text, u.Suggest)
		}
		c.See(assertions[0].Facts, v.Answer)
	}
}

func TestCoverageNamesWhatNoAssertionTouches(t *testing.T) {
	s := siteOf(t, contractSample)
	c := NewCoverage(s, noon)
	list, all := c.Untouched(false)
	if len(list) != all || all != 17 {
		t.Fatalf("%d of %d untouched at first", len(list), all)
	}
	suggestedOf(t, s, c)
	rest, _ := c.Untouched(false)
	if len(rest) > 0 {
		t.Errorf("untouched: %+v", rest)
	}
}

const readersSample = `public /login.jsp
require mfa /app/run.php
require signed_in /team/* { user joe; raise mfa when not client_ip 10.0.0.0/8 and device private }
raise phishing_resistant { method DELETE PUT; time Mon-Fri 08:00-18:00 Europe/London; risk medium }
default mfa`

func TestCoverageNamesConditionsAndReadings(t *testing.T) {
	s := siteOf(t, readersSample)
	c := NewCoverage(s, noon)
	see := func(line string) {
		t.Helper()
		list, err := ReadAssertions("a", strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if list[0].Facts.Now.IsZero() {
			list[0].Facts.Now = noon
		}
		v, err := list[0].Check(s)
		if err != nil || !v.Holds {
			t.Fatal(err, v)
		}
		c.See(list[0].Facts, v.Answer)
	}
	left := func() string {
		list, _ := c.Untouched(false)
		var texts []string
		for _, u := range list {
			texts = append(texts, u.Kind+" "+u.Text)
		}
		return strings.Join(texts, "\n")
	}
	const alone = "condition `raise mfa when device private and not client_ip 10.0.0.0/8` without `device private` alone"
	const reading = "reading `public /login.jsp` read otherwise: /login.jsp;jsessionid=1 needs mfa and not public"
	if all := left(); !strings.Contains(all, alone) || !strings.Contains(all, reading) || strings.Contains(all, "reading `require mfa") {
		t.Fatal(all)
	}
	// What another condition keeps from being raised says nothing of this one.
	see("GET /team/x --user joe --client-ip 10.1.2.3 -> signed_in")
	see("GET /login.jsp -> public")
	if all := left(); !strings.Contains(all, alone) || !strings.Contains(all, reading) || strings.Contains(all, "rule `public /login.jsp`") {
		t.Fatal(all)
	}
	see("GET /team/x --user joe --client-ip 192.0.2.7 -> signed_in")
	see("GET /login.jsp;jsessionid=1 -> mfa")
	if all := left(); strings.Contains(all, alone) || strings.Contains(all, reading) {
		t.Fatal(all)
	}
	suggestedOf(t, s, c)
	if rest := left(); rest != "" {
		t.Error(rest)
	}
}
