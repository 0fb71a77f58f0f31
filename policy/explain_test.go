package policy

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/policy/target"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestExplainGolden(t *testing.T) {
	p := policyOf(t, contractSample+"require phishing_resistant /app.php\n")
	tests := []struct {
		name, request string
		facts         func(*Request)
	}{
		{"public", "GET /assets/site.css", nil},
		{"default", "GET /nowhere", nil},
		{"denied", "GET /%64ebug/vars", nil},
		{"claimed-method", "GET /cases/7?_method=DELETE", nil},
		{"query-rule", "POST /app.do?action=deleteAll", func(r *Request) { r.Risk = RiskHigh }},
		{"raised-in-rule", "GET /admin/users", func(r *Request) { r.Context = "broken" }},
		{"not-in-group", "GET /admin/users", func(r *Request) { r.SignedIn = true; r.Context = "private_ranges" }},
		{"required", "GET /", func(r *Request) {
			r.SignedIn, r.Proofs = true, []Proof{{Factor: Password, At: noon}, {Factor: Email, Credential: "e", At: noon}}
			r.Requires = []string{LevelMFA}
		}},
		{"rewritten", "GET /assets/x", func(r *Request) { r.Also = []*target.Readings{read(t, "/cases/7")} }},
		{"script", "GET /app.php/x", nil},
		{"missing-facts", "PUT /cases/7", func(r *Request) { r.Device, r.Risk = "", RiskUnset }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, tt.request)
			if tt.facts != nil {
				tt.facts(r)
			}
			got, err := json.MarshalIndent(p.Explain(r), "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "explain", tt.name+".json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("explanation (-want +got):\n%s", diff)
			}
		})
	}
}
