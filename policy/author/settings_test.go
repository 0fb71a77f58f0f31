package author

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

func withSettings(t *testing.T, list ...Setting) *Site {
	s := siteOf(t, "default mfa")
	s.Settings = list
	return s
}

func TestDiffSettingsSaysWhatIsWeaker(t *testing.T) {
	for _, tt := range []struct {
		setting, was, is string
		want             Direction
	}{
		{"enrolment", `"invited"`, `"self"`, Weaker},
		{"enrolment", `"self"`, `"contact"`, Stronger},
		{"enrolment", `"self"`, `"otherwise"`, Undecided},
		{"binding_delay", "86400000000000", "0", Weaker},
		{"binding_delay", "0", "86400000000000", Stronger},
		{"session.idle", "1800000000000", "3600000000000", Weaker},
		{"session.absolute", "86400000000000", "43200000000000", Stronger},
		{"session.absolute", "86400000000000", `"never"`, Undecided},
		{"keep_stream", "", "true", Weaker},
		{"keep_stream", "true", "false", Stronger},
		{"pass_url_overrides", "", "true", Weaker},
		{"seal_cookies", "true", "", Weaker},
		{"sign_in trusted", "", `{"header":"X-User"}`, Weaker},
		{"sign_in trusted", `{"header":"X-User"}`, "", Stronger},
		{"sign_in ldap", `{"url":"a"}`, `{"url":"b"}`, Undecided},
		{"identity_headers", "", `["X-User"]`, Undecided},
		{"webauthn.attestation", "", `"direct"`, Stronger},
		{"report_only", `{"default":["mfa"]}`, "", Changed},
		{"finding proxy-without-gate", "", "1", Weaker},
		{"pages.name", `"A"`, `"B"`, Changed},
		{"something_new", "", "true", Undecided},
		{"keep_requests", "10", "20", Changed},
		{"sms", `{"provider":"sns"}`, `{"provider":"webhook"}`, Undecided},
		{"store", `"a"`, `"b"`, Undecided},
	} {
		var was, is []Setting
		if tt.was != "" {
			was = append(was, Setting{tt.setting, tt.was})
		}
		if tt.is != "" {
			is = append(is, Setting{tt.setting, tt.is})
		}
		changes := DiffSettings(withSettings(t, was...), withSettings(t, is...))
		if len(changes) != 1 || changes[0].Direction != tt.want || changes[0].Setting != tt.setting || changes[0].Text == "" {
			t.Errorf("%s from %s to %s: %+v, want %s", tt.setting, tt.was, tt.is, changes, tt.want)
		}
		if same := DiffSettings(withSettings(t, was...), withSettings(t, was...)); len(same) > 0 {
			t.Errorf("%s to itself: %+v", tt.was, same)
		}
	}
}

// TestDiffSettingsOrdersAndShows the weaker first, and durations as they are
// written.
func TestDiffSettingsOrdersAndShows(t *testing.T) {
	changes := DiffSettings(withSettings(t, Setting{"pages.name", `"A"`}, Setting{"session.idle", "1800000000000"}), withSettings(t, Setting{"session.idle", "5400000000000"}))
	var b bytes.Buffer
	for _, c := range changes {
		if err := c.Render(&b); err != nil {
			t.Fatal(err)
		}
	}
	want := "weaker    session.idle\n          30m -> 1h30m\n          how long a session lives without a request\n" +
		"changed   pages.name\n          A -> nothing\n          how pages look\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// TestDiffSettingsCountsPathsFromTheirFolder as two checkouts of one
// configuration have them.
func TestDiffSettingsCountsPathsFromTheirFolder(t *testing.T) {
	site := func(folder, file string) *Site {
		s := withSettings(t, Setting{"geoip", `"` + file + `"`}, Setting{"sign_in saml", `{"metadata":"` + file + `"}`})
		s.Folder = folder
		return s
	}
	was := site("/main", "/main/in/x")
	for _, tt := range []struct {
		is   *Site
		want int
	}{
		{site("/branch", "/branch/in/x"), 0},
		{site("/branch", "/main/in/x"), 0}, // the very file
		{site("/branch", "/branch/x"), 2},
		{site("/branch", "/main-of-others/in/x"), 2},
		{site("/", "/in/x"), 0},
		{site("", "/branch/in/x"), 2},
	} {
		if changes := DiffSettings(was, tt.is); len(changes) != tt.want {
			t.Errorf("%s: %+v, want %d", tt.is.Folder, changes, tt.want)
		}
	}
}

// TestOnlyWhatMayLetSomebodyThroughMayWeaken: no name of a page does.
func TestOnlyWhatMayLetSomebodyThroughMayWeaken(t *testing.T) {
	for way, want := range map[Direction]bool{Weaker: true, Both: true, Undecided: true, Stronger: false, Changed: false} {
		if way.MayWeaken() != want {
			t.Errorf("%s: %t", way, !want)
		}
	}
}

func TestDiffSettingsComparesScripts(t *testing.T) {
	site := func(scripts ...string) *Site {
		s := siteOf(t, "default signed_in\nrequire mfa /admin/*")
		var err error
		if s.Reader, err = target.NewReader(target.Options{Scripts: scripts}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	changes := DiffSettings(site("*.php", "*.jsp"), site("*.php", "*.cgi"))
	if len(changes) != 2 || changes[0].Direction != Weaker || changes[0].Old != "*.jsp" || changes[0].Request != "GET /x.jsp/admin" || changes[1].Direction != Stronger || changes[1].New != "*.cgi" {
		t.Errorf("%+v", changes)
	}
}

func TestPairFindsTheOtherVersion(t *testing.T) {
	site := func(origin string) *Site { return &Site{Origin: origin} }
	a, b, c := site("https://a.test"), site("https://b.test"), site("https://c.test")
	newA, newB := site("https://a.test"), site("https://b.test")
	pairs := Pair([]*Site{a, b}, []*Site{newB, c, newA})
	want := []SitePair{{a, newA}, {b, newB}, {nil, c}}
	if len(pairs) != len(want) {
		t.Fatalf("%+v", pairs)
	}
	for i, p := range pairs {
		if p != want[i] {
			t.Errorf("%d: %+v", i, p)
		}
	}
	if only := Pair([]*Site{a}, []*Site{b}); len(only) != 1 || only[0] != (SitePair{a, b}) || only[0].Origin() != "https://b.test" {
		t.Errorf("the only ones are no pair: %+v", only)
	}
	gone, ok := SitePair{Was: a}.Gate()
	if !ok || gone.Direction != Weaker || gone.Request != "GET https://a.test/" || (SitePair{Was: a}).Origin() != "https://a.test" {
		t.Errorf("%+v", gone)
	}
	if made, ok := (SitePair{Is: a}).Gate(); !ok || made.Direction != Stronger {
		t.Errorf("%+v", made)
	}
	if _, ok := (SitePair{a, b}).Gate(); ok {
		t.Error("both are there")
	}
	// Two gates of one origin are told apart by their order.
	twice := Pair([]*Site{a, site("https://a.test")}, []*Site{newA})
	if len(twice) != 2 || twice[0].Is != newA || twice[1].Is != nil {
		t.Errorf("%+v", twice)
	}
}

func TestPolicyTextLeavesPlacesOut(t *testing.T) {
	one, other := configOf(t, contractSample), configOf(t, contractSample)
	other.Rules[0].Pos, other.DefaultPos = policy.Position{File: "x", Line: 99}, policy.Position{}
	if PolicyText(one) != PolicyText(other) || strings.Contains(PolicyText(one), "Caddyfile") {
		t.Error(PolicyText(one))
	}
}
