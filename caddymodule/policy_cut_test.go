package caddymodule

import "testing"

// TestCutPolicies takes out what is large, and puts it back as it was.
func TestCutPolicies(t *testing.T) {
	for raw, want := range map[string]string{
		`{"handler":"stepgate","policy":{"rules":[{"why":"}\\\"{"}]},"source":"x"}`: `{"handler":"stepgate","policy":{"policy_cut":0},"source":"x"}`,
		`{"a":[{"report_only":{}},{"policy":{"b":{}}}],"c":"policy"}`:               `{"a":[{"report_only":{"policy_cut":0}},{"policy":{"policy_cut":1}}],"c":"policy"}`,
		`{"policy": {"spaced":1},"my_policy":{"d":2},"policy":"round_robin"}`:       `{"policy": {"spaced":1},"my_policy":{"d":2},"policy":"round_robin"}`,
		`{"x":"\"policy\":{"}`: `{"x":"\"policy\":{"}`,
		``:                     ``,
	} {
		c := cutPolicies([]byte(raw))
		if got := string(c.rest); got != want {
			t.Errorf("%s\nis %s\nwant %s", raw, got, want)
		}
		if got := string(c.whole(c.rest)); got != raw {
			t.Errorf("%s\nis put back as %s", raw, got)
		}
	}
}
