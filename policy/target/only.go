package target

import "strings"

// Only is a target of which path, folded as readings are, is the one reading;
// query is as sent. It is for whoever asks about paths rather than requests:
// no client's target becomes it.
func (r *Reader) Only(path, query string) Readings {
	rs := Readings{raw: path, end: len(path), plain: path, scripts: &r.scripts}
	if query != "" {
		rs.raw += "?" + query
	}
	return rs
}

// Scripts are what counts as a script in a path: globs of a segment, each
// split at its stars, and directories below which every segment is one, each
// as its segments.
func (r *Reader) Scripts() (globs, dirs [][]string) {
	globs = append(globs, r.scripts.globs...)
	for _, dir := range r.scripts.dirs {
		dirs = append(dirs, strings.Split(strings.Trim(dir, "/"), "/"))
	}
	return globs, dirs
}
