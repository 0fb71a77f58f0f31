package author

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAssertionsHoldOrSayWhatDoes(t *testing.T) {
	s := siteOf(t, contractSample)
	for _, tt := range []struct{ line, want string }{
		{"GET /assets/x -> public", ""},
		{"/cases/7 -> mfa", ""},
		{"GET /cases/7 -> signed_in mfa # as good", ""},
		{"POST /cases/7 --device private -> phishing_resistant mfa # a key proves both", ""},
		{"POST /cases/7 --device private -> phishing_resistant", ""},
		{"GET /debug/x -> deny", ""},
		{"GET /a/../b -> 400", ""},
		{"GET /.stepgate/enrol -> public", ""},
		{`GET /admin/x --group "other people" -> deny`, ""},
		{"GET /admin/x --group=admins --client-ip 10.0.0.1 -> mfa", ""},
		{"GET /admin/x --group admins --client-ip 11.0.0.1 -> fresh_key mfa", ""},
		{"GET / --risk high -> mfa", ""},
		{"GET /cases/7 -> public", "mfa"},
		{"GET /assets/x -> mfa", "public"},
		{"GET /debug/x -> mfa", "deny"},
		{"GET /a/../b -> mfa", "400"},
	} {
		list, err := ReadAssertions("policy.assert", strings.NewReader(tt.line))
		if err != nil {
			t.Fatalf("%s: %v", tt.line, err)
		}
		v, err := list[0].Check(s)
		if err != nil {
			t.Fatalf("%s: %v", tt.line, err)
		}
		if tt.want == "" != v.Holds {
			t.Errorf("%s: holds %v: %v", tt.line, v.Holds, v)
		}
		if tt.want != "" && !strings.Contains(v.Error(), "but it is "+tt.want) {
			t.Errorf("%s: %v", tt.line, v)
		}
	}
}

func TestAssertionErrorsNameBothPlaces(t *testing.T) {
	s := siteOf(t, contractSample)
	list, _ := ReadAssertions("policy.assert", strings.NewReader("\n# comment\nGET /cases/7 --risk high -> public\n"))
	v, _ := list[0].Check(s)
	want := "policy.assert:3: GET /cases/7: asserted public, but it is mfa, decided by require mfa /cases/* (Caddyfile:4); mfa was raised when risk high (Caddyfile:11)"
	if diff := cmp.Diff(want, v.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestReadAssertionsReportsEveryMistake(t *testing.T) {
	list, err := ReadAssertions("f", strings.NewReader(strings.Join([]string{
		"GET /x", "GET -> mfa", "GET x -> mfa", "GET /x -> public mfa", "GET /x --riks low -> mfa", `GET /x --group "a -> mfa`, "GET /x --group -> mfa",
		"GET /x y -> mfa", "GET /ok -> mfa", "GET /x ->",
	}, "\n")))
	if len(list) != 1 || list[0].Line != 9 {
		t.Errorf("%d assertions are taken", len(list))
	}
	for _, line := range []string{"f:1", "f:2", "f:3", "f:4", "f:5", "f:6", "f:7", "f:8", "f:10"} {
		if !strings.Contains(err.Error(), line+": ") {
			t.Errorf("%s is missing in\n%v", line, err)
		}
	}
	if !strings.Contains(err.Error(), `did you mean "--risk"?`) {
		t.Errorf("no suggestion in\n%v", err)
	}
}

func TestCheckRefusesUnknownLevels(t *testing.T) {
	list, _ := ReadAssertions("f", strings.NewReader("GET /x -> fresh_kee"))
	_, err := list[0].Check(siteOf(t, contractSample))
	if err == nil || err.Error() != `f:1: "fresh_kee": did you mean "fresh_key"?` {
		t.Errorf("%v", err)
	}
}
