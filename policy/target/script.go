package target

import (
	"fmt"
	"strings"
)

// scripts knows which segments of a folded path name a program, so that what
// follows them is a path of its own (PATH_INFO, RFC 3875 §4.1.5).
type scripts struct {
	globs   [][]string // each split at its stars, folded
	dirs    []string   // folded, "/cgi-bin/": every segment below is one
	needDot bool       // no glob matches a segment without a dot
}

func compileScripts(patterns []string) (scripts, error) {
	sc := scripts{dirs: []string{"/cgi-bin/"}, needDot: true}
	for _, p := range patterns {
		if dir, ok := strings.CutSuffix(p, "/*"); ok && len(dir) > 1 && dir[0] == '/' && !strings.Contains(dir, "*") {
			sc.dirs = append(sc.dirs, FoldSegment(dir)+"/")
			continue
		}
		if p == "" || strings.Contains(p, "/") || strings.Trim(p, "*") == "" {
			return scripts{}, fmt.Errorf("script %q: want a glob for one segment such as *.php, or a directory such as /cgi-bin/*", p)
		}
		sc.needDot = sc.needDot && strings.Contains(p, ".")
		parts := strings.Split(p, "*")
		for i := range parts {
			parts[i] = FoldSegment(parts[i])
		}
		sc.globs = append(sc.globs, parts)
	}
	return sc, nil
}

// possible is the cheap question before ends: may a path have a script that
// something follows? dotted is what scan found.
func (sc *scripts) possible(path string, dotted bool) bool {
	return dotted || !sc.needDot || sc.below(path) > 0
}

// below gives the length of the outermost script directory that path is
// below, or 0.
func (sc *scripts) below(path string) int {
	n := 0
	for _, dir := range sc.dirs {
		if strings.HasPrefix(path, dir) && (n == 0 || len(dir) < n) {
			n = len(dir)
		}
	}
	return n
}

// next gives the first index at or after from of a slash that follows a
// script in path, or -1. from is 1 or an index that next gave, plus one.
func (sc *scripts) next(path string, from int) int {
	dir := sc.below(path)
	for {
		i := strings.IndexByte(path[from:], '/')
		if i < 0 {
			return -1
		}
		seg := path[from : from+i]
		if seg != "" && (dir > 0 && from >= dir || sc.names(seg)) {
			return from + i
		}
		from += i + 1
	}
}

// names tells whether a segment names a script. Apache runs "x.php.en" as one
// too: each of its endings counts (mod_mime, "Files with Multiple Extensions").
func (sc *scripts) names(segment string) bool {
	for end := len(segment); end > 0; end = strings.LastIndexByte(segment[:end], '.') {
		for _, parts := range sc.globs {
			if matchParts(parts, segment[:end]) {
				return true
			}
		}
	}
	return false
}

// matchParts matches a glob that was split at its stars.
func matchParts(parts []string, s string) bool {
	if len(parts) == 1 {
		return s == parts[0]
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return true
}
