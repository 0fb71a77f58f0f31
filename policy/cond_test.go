package policy

import (
	"testing"
	"time"

	"github.com/stepgate/stepgate/policy/target"
)

// raisedBy compiles one raise with these conditions, separated by ";", and
// tells whether it raises r.
func raisedBy(t *testing.T, conditions string, r *Request) bool {
	t.Helper()
	p := policyOf(t, "default signed_in\nraise mfa { "+conditions+" }")
	return p.Decide(r).Needed.Has(p.required[LevelMFA])
}

func TestConditions(t *testing.T) {
	tests := []struct {
		condition string
		facts     func(*Request)
		want      bool
	}{
		{"device unknown", func(r *Request) { r.Device = DeviceUnknown }, true},
		{"device unknown", func(r *Request) { r.Device = DevicePublic }, true},
		{"device unknown", func(r *Request) { r.Device = DevicePrivate }, false},
		{"device private", func(r *Request) { r.Device = DevicePrivate }, true},
		{"device private", func(r *Request) { r.Device = DevicePublic }, false},
		{"risk low", func(r *Request) { r.Risk = RiskLow }, true},
		{"risk medium", func(r *Request) { r.Risk = RiskLow }, false},
		{"risk medium", func(r *Request) { r.Risk = RiskHigh }, true},
		{"risk high", func(r *Request) { r.Risk = RiskMedium }, false},
		{"group contractors guests", func(r *Request) { r.SignedIn, r.Groups = true, []string{"staff", "guests"} }, true},
		{"group contractors", func(r *Request) { r.SignedIn, r.Groups = true, []string{"staff"} }, false},
		{"group contractors", func(r *Request) { r.SignedIn = true }, false},
		{"organisation acme", func(r *Request) { r.Organisation = "acme" }, true},
		{"organisation acme", func(r *Request) { r.Organisation = "other" }, false},
		{"time Mon-Fri 08:00-18:00 UTC", func(r *Request) { r.Now = noon }, true},
		{"time Mon-Fri 08:00-12:00 UTC", func(r *Request) { r.Now = noon }, false},
		{"time Mon-Fri 12:00-12:01 UTC", func(r *Request) { r.Now = noon }, true},
		{"time Sat,Sun,Tue-Fri 00:00-24:00 UTC", func(r *Request) { r.Now = noon }, false},
		{"time Fri-Mon 00:00-24:00 UTC", func(r *Request) { r.Now = noon }, true},
		{"time Mon 22:00-06:00 UTC", func(r *Request) { r.Now = noon.Add(11 * time.Hour) }, true},
		{"time Mon 22:00-06:00 UTC", func(r *Request) { r.Now = noon.Add(17 * time.Hour) }, true},
		{"time Mon 22:00-06:00 UTC", func(r *Request) { r.Now = noon.Add(18 * time.Hour) }, false},
		{"time Mon 22:00-06:00 UTC", func(r *Request) { r.Now = noon.Add(-7 * time.Hour) }, false},
		{"time Mon 07:00-08:00 America/New_York", func(r *Request) { r.Now = noon }, true},
		{"time Mon 13:00-14:00 Europe/London", func(r *Request) { r.Now = noon.AddDate(0, 0, 28) }, true},
		{"method POST PUT", func(r *Request) { r.Method = "PUT" }, true},
		{"method POST PUT", func(r *Request) { r.Method = "GET" }, false},
		{"method POST PUT", func(r *Request) { r.Claimed = []string{"put"} }, true},
		{"method GET", func(r *Request) { r.Method = "HEAD" }, true},
		{"not method GET", func(r *Request) { r.Method = "HEAD" }, false},
		{"not method GET", func(r *Request) { r.Claimed = []string{"PUT"} }, true},
		{"not method POST", func(r *Request) { r.Method = "POST"; r.Form = formBody("_method=GET") }, true},
		{"not method POST", func(r *Request) { r.Method = "POST"; r.Form = formBody("x=1") }, false},
		{"not method POST", func(r *Request) { r.Method = "POST"; r.Form = formBody("UNREADABLE") }, true},
		{"method DELETE", func(r *Request) { r.Method = "POST"; r.Form = formBody("UNREADABLE") }, true},
		{"form do delete*", func(r *Request) { r.Form = formBody("do=deleteAll") }, true},
		{"form do delete*", func(r *Request) { r.Form = formBody("do=view&do=Delete") }, true},
		{"form do delete*", func(r *Request) { r.Form = formBody("do=undelete") }, false},
		{"form do delete*", func(r *Request) { r.Target = read(t, "/x?do=delete") }, false},
		{"form do a+b", func(r *Request) { r.Form = formBody("do=a%2Bb") }, true},
		{"form do *", func(r *Request) {}, false},
		{"client_ip office", func(r *Request) { r.Context = "office" }, true},
		{"client_ip office", func(r *Request) { r.Context = "home" }, false},
		{"device unknown; risk high", func(r *Request) { r.Device, r.Risk = DeviceUnknown, RiskHigh }, true},
		{"device unknown; risk high", func(r *Request) { r.Device, r.Risk = DeviceUnknown, RiskLow }, false},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			r := request(t, "GET /x")
			tt.facts(r)
			if got := raisedBy(t, tt.condition, r); got != tt.want {
				t.Errorf("%s raises: %v, want %v", tt.condition, got, tt.want)
			}
		})
	}
}

// TestConditionsTurnAround asks every condition of the table's facts with and
// without `not`: one of the two raises, unless there is more to a request
// than one fact.
func TestConditionsTurnAround(t *testing.T) {
	for _, condition := range []string{
		"device unknown", "risk medium", "group a", "organisation a", "time Mon 08:00-18:00 UTC", "method POST", "form a b", "client_ip x",
	} {
		r := request(t, "GET /x")
		r.SignedIn, r.Organisation = true, "b"
		if raisedBy(t, condition, r) == raisedBy(t, "not "+condition, r) {
			t.Errorf("%s and its opposite agree", condition)
		}
	}
}

func TestMissingFactsRaiseEitherWay(t *testing.T) {
	tests := []struct {
		condition string
		facts     func(*Request)
	}{
		{"device unknown", func(r *Request) { r.Device = "" }},
		{"device private", func(r *Request) { r.Device = "stolen" }},
		{"risk low", func(r *Request) { r.Risk = RiskUnset }},
		{"risk high", func(r *Request) { r.Risk = 99 }},
		{"group a", func(r *Request) {}},
		{"organisation a", func(r *Request) { r.SignedIn = true }},
		{"time Mon-Sun 00:00-24:00 UTC", func(r *Request) { r.Now = time.Time{} }},
		{"form a b", func(r *Request) { r.Form = formBody("UNREADABLE") }},
		{"method PUT", func(r *Request) { r.Form = formBody("UNREADABLE") }},
		{"client_ip x", func(r *Request) { r.Context = "broken" }},
	}
	for _, tt := range tests {
		for _, condition := range []string{tt.condition, "not " + tt.condition} {
			r := request(t, "GET /x")
			tt.facts(r)
			if !raisedBy(t, condition, r) {
				t.Errorf("%s does not raise", condition)
			}
		}
	}
}

func TestRaisesLeavePublicPathsAlone(t *testing.T) {
	p := policyOf(t, "public /x\nraise mfa when device unknown\nraise mfa when not device unknown")
	if d := p.Decide(request(t, "GET /x")); !d.Public || d.Needed != 0 {
		t.Errorf("needs %v", p.LevelNames(d.Needed))
	}
}

func TestRaisesOfOneRuleLeaveOthersAlone(t *testing.T) {
	p := policyOf(t, "level a { accept totp }\nrequire signed_in /x/* { raise a when device unknown }\nrequire signed_in /x/y\nrequire signed_in POST /x/* { raise mfa when device unknown }")
	for path, want := range map[string]string{"GET /x/z": "signed_in a", "GET /x/y": "signed_in", "POST /x/z": "signed_in mfa"} {
		if got := says(p, p.Decide(request(t, path))); got != want {
			t.Errorf("%s needs %q, want %q", path, got, want)
		}
	}
}

func TestLongFormsCountAsMatches(t *testing.T) {
	p := policyOf(t, "default signed_in\nrequire mfa /x?a=1")
	r := request(t, "POST /x")
	r.Form = func() (string, []byte, bool) {
		return "application/x-www-form-urlencoded", make([]byte, target.MaxFieldBytes+1), true
	}
	if got := says(p, p.Decide(r)); got != "signed_in mfa" {
		t.Errorf("needs %q", got)
	}
}
