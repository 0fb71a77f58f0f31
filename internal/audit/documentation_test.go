package audit

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/audit-events.md anew")

// TestDocumentationListsEveryEvent keeps the page of events true. Write it
// anew with: go test ./internal/audit -run Documentation -update
func TestDocumentationListsEveryEvent(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "audit-events.md")
	want := documentation()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/audit-events.md is stale; run this test with -update (-want +got):\n%s", diff)
	}
}

func documentation() string {
	var b strings.Builder
	b.WriteString(`# Audit events

Everything that changes who may do what, and every decision against a request, leaves an event in the
audit trail. An event's name never changes its meaning; new names may come with any version. Names
that the OWASP Logging Vocabulary has are used as it has them.

This page is made from the code by a test of package ` + "`internal/audit`" + `.

| event | severity | written when |
|---|---|---|
`)
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, k.Severity, k.Text)
	}
	b.WriteString(`
## Fields

A record is one JSON object. Fields that have nothing to say are left out.

| field | meaning |
|---|---|
| ` + "`datetime`" + ` | when, in UTC to the millisecond |
| ` + "`event`, `level`" + ` | name and severity, from the table above |
| ` + "`reference`" + ` | what a page that refused has shown to its visitor |
| ` + "`account`" + ` | the identifier of whom it is about |
| ` + "`actor`" + ` | who did it, where that is somebody else; ` + "`command`" + ` for the command line |
| ` + "`organisation`" + ` | the organisation of the account |
| ` + "`session`" + ` | the hash under which the session is kept, never its cookie |
| ` + "`site`" + ` | the origin of the site |
| ` + "`factor`, `credential`" + ` | the kind of proof, and the identifier of the one that was enrolled |
| ` + "`levels`" + ` | the levels that were asked for, or met |
| ` + "`rule`" + ` | the pattern that decided, and where it stands |
| ` + "`source_ip`, `useragent`" + ` | where the request came from |
| ` + "`outcome`, `reason`" + ` | one word for what came of it, and a code for why |
| ` + "`detail`" + ` | more facts, as pairs of ` + "`key` and `value`" + ` |
| ` + "`explanation`" + ` | the policy's own account of a decision |

No field ever holds a code, a key, a PIN, an answer, a password, a cookie, a link or the body of a request, nor a whole telephone
number or e-mail address.
`)
	return b.String()
}
