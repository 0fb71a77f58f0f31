package author

import (
	"bufio"
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// acceptance is a comment that accepts findings of its line.
type acceptance struct {
	line   int
	codes  []string
	reason string
}

var acceptanceComment = regexp.MustCompile(`(?:^|\s)#\s*lint:\s*ok\b[ \t]*([a-z0-9-]*(?:[ \t]*,[ \t]*[a-z0-9-]+)*)[ \t]*(?::[ \t]*(.*))?$`)

func acceptancesOf(text string) []acceptance {
	var list []acceptance
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		m := acceptanceComment.FindStringSubmatch(strings.TrimRight(lines.Text(), " \t\r"))
		if m == nil {
			continue
		}
		a := acceptance{line: n, reason: strings.TrimSpace(m[2])}
		for code := range strings.SplitSeq(m[1], ",") {
			if code = strings.TrimSpace(code); code != "" {
				a.codes = append(a.codes, code)
			}
		}
		list = append(list, a)
	}
	return list
}

// Accept leaves out the findings that comments of the configuration file
// accept where they stand:
//
//	public /app/css/*   # lint: ok weaker-inside: style sheets have no data
//
// A comment without a reason accepts nothing, and one whose finding no longer
// occurs is a finding itself.
func Accept(found []Finding, file, text string) []Finding {
	base := filepath.Base(file)
	used := map[[2]int]bool{}
	list := acceptancesOf(text)
	kept := slices.DeleteFunc(slices.Clone(found), func(f Finding) bool {
		if filepath.Base(f.File) != base {
			return false
		}
		for i, a := range list {
			if at := slices.Index(a.codes, f.Code); a.line == f.Line && at >= 0 && a.reason != "" {
				used[[2]int{i, at}] = true
				return true
			}
		}
		return false
	})
	for i, a := range list {
		switch {
		case a.reason == "" || len(a.codes) == 0:
			kept = append(kept, Finding{
				Code: CodeAcceptsWithout, File: base, Line: a.line, Text: "a comment accepts findings without naming which, or without a reason",
				Mend: "write `# lint: ok NAME: REASON`",
			})
			continue
		}
		for at, code := range a.codes {
			if !used[[2]int{i, at}] {
				kept = append(kept, Finding{
					Code: CodeAcceptsNothing, File: base, Line: a.line,
					Text: fmt.Sprintf("a comment accepts `%s`, which is not found on this line", code), Mend: "remove the comment, or put it on the line of the finding",
				})
			}
		}
	}
	slices.SortStableFunc(kept, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return kept
}
