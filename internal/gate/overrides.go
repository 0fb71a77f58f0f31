package gate

import (
	"slices"
	"strings"
)

// A client names another path than the one that was judged in headers of very
// many names: proxies invent them, and applications serve what they say. So
// they are known by their words, all separators left out: one of
// overrideTargets with one of overrideQualifiers, or a name of overrideNames.
var (
	overrideTargets    = []string{"url", "uri", "path", "prefix", "scriptname", "filename", "query", "root"}
	overrideQualifiers = []string{
		"origin", "rewrit", "forward", "replac", "overrid", "request", "proxy", "envoy", "script", "context", "servlet", "base",
		"external", "internal", "ingress", "matched", "invoke", "unencoded", "translated", "mount", "document", "real", "raw",
		"wsgi", "fcgi", "root", "http",
	}
	overrideNames = []string{
		"url", "uri", "path", "pathinfo", "pathtranslated", "redirecturl", "destinationurl", "scriptname", "approot", "forwardedcontext", "rstudiorequest",
		// Next.js and Rack: what the framework tells itself.
		"middlewaresubrequest", "nowroutematches", "sendfiletype", "accelmapping",
		// What an app says in an answer of the file to send, and some libraries look for in requests.
		"sendfile", "accelredirect", "lighttpdsendfile", "lighttpdsendtempfile", "litespeedlocation", "reproxyurl", "reproxyfile",
	}
	// overrideEnds are how such names end, so that most headers are told
	// apart by two letters.
	overrideEnds = func() (ends [1 << 16]bool) {
		for _, word := range slices.Concat(overrideTargets, overrideNames, []string{"override", "info", "base", "string", "args"}) {
			ends[uint16(word[len(word)-2])<<8|uint16(word[len(word)-1])] = true
		}
		return ends
	}()
)

// namesPath tells whether an application may take the header of some name for
// the path, or a part of the path, that it is asked for.
func namesPath(name string) bool {
	if len(name) < len("url") || !overrideEnds[uint16(name[len(name)-2]|0x20)<<8|uint16(name[len(name)-1]|0x20)] {
		return false
	}
	if strings.HasPrefix(name, "Accept-") || strings.HasPrefix(name, "Content-") || strings.HasPrefix(name, "Sec-") {
		return false
	}
	word := strings.TrimPrefix(strings.ReplaceAll(FoldHeader(name), "-", ""), "x")
	if slices.Contains(overrideNames, word) || slices.Contains(overrideNames, strings.TrimPrefix(word, "http")) {
		return true
	}
	has := func(part string) bool { return strings.Contains(word, part) }
	return slices.ContainsFunc(overrideTargets, has) && slices.ContainsFunc(overrideQualifiers, has)
}
