package caddymodule

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/author"
)

// Ceilings of NIST SP 800-63B-4 §2.2.3, for sessions at AAL2.
const (
	idleCeiling     = time.Hour
	absoluteCeiling = 24 * time.Hour
)

// Lint looks at the policies of all gates and at what is around them.
func (d *drawing) Lint() ([]author.Finding, error) {
	found, _, err := d.lintServers()
	if err != nil {
		return nil, err
	}
	found = append(found, d.lintSessions()...)
	for _, h := range d.gates {
		options := author.LintOptions{Offered: d.app.offered(), TypedElsewhere: h.typedElsewhere(), Now: time.Now(), Session: time.Duration(d.app.Session.Absolute)}
		found = append(found, author.Lint(h.authored(), options)...)
		if report := h.authoredReport(); report != nil {
			found = append(found, author.Lint(report, options)...)
		}
		if h.BindingDelay != nil && *h.BindingDelay == 0 {
			pos := parsePosition(h.Source)
			found = append(found, d.at(author.Finding{
				Code: codeBindingDelay, Site: h.Origin, File: pos.File, Line: pos.Line,
				Text: "binding_delay 0s: whoever has a weak proof once adds a strong factor that counts at once, before anybody has read the notice",
				Mend: "leave it at 24h; a temporary code lifts the wait where somebody is helped in person",
			}, d.linesOf("binding_delay")))
		}
		found = append(found, h.lintEnrolment())
		found = append(found, d.lintSources(h)...)
	}
	slices.SortStableFunc(found, func(a, b author.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	if text, err := os.ReadFile(d.file); err == nil {
		found = author.Accept(found, d.file, string(text))
	}
	return found, nil
}

// lintEnrolment says what the site's enrolment leaves open.
func (h *Handler) lintEnrolment() author.Finding {
	word := h.enrolment()
	pos := parsePosition(h.Source)
	f := author.Finding{Code: codeEnrolment + string(word), Note: true, Site: h.Origin, File: pos.File, Line: pos.Line}
	switch word {
	case challenge.EnrolSelf:
		f.Text = "enrolment self: whoever has the password of somebody who has not enrolled yet can enrol a factor of their own for that account"
		f.Mend = "use `enrolment contact` or `enrolment invited`, or have everyone enrol before it matters"
	case challenge.EnrolContact:
		f.Text = "enrolment contact: whoever has the password of somebody who has not enrolled yet, and reads the mailbox or the texts of the address on the account, can enrol a factor of their own; addresses are as good as whoever keeps them up"
		f.Mend = "use `enrolment invited` where addresses come from a directory that people edit themselves"
	default:
		f.Text = "enrolment invited: whoever gets hold of a temporary code, together with the sign-in, can enrol a factor of their own; it is as good as the check of who asks the helpdesk for one"
		f.Mend = "hand codes over in person, or after a check that is written down"
	}
	return f
}

// lintSessions holds the limits of sessions against the ceilings.
func (d *drawing) lintSessions() []author.Finding {
	var found []author.Finding
	add := func(code, option, text string) {
		found = append(found, d.at(author.Finding{Code: code, Text: text, Mend: "shorten `" + option + "` in the app's `session` block"}, d.linesOf(option)))
	}
	if idle := time.Duration(d.app.Session.Idle); idle > idleCeiling {
		add(codeSessionIdle, "idle", fmt.Sprintf("a session may be idle for %s: NIST SP 800-63B-4 §2.2.3 wants a new proof after an hour at most", policy.Duration(idle)))
	}
	if absolute := time.Duration(d.app.Session.Absolute); absolute > absoluteCeiling {
		add(codeSessionAbsolute, "absolute", fmt.Sprintf("a session may last %s: NIST SP 800-63B-4 §2.2.3 wants a new sign-in after 24 hours at most", policy.Duration(absolute)))
	}
	return found
}
