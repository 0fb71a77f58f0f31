package caddymodule

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// What a spelling is made of: texts that mean something to some server.
var (
	insertedTexts = []string{
		"/", "//", "/./", "/.//", "/x/../", "/x/%2e%2e/", "/x/..;/", "/%2e/", "/.;/", "/;/", "/%20/", "/.%20/", `/x/..%5c`, `\`, "%5c", "%255c",
		"%2f", "%252f", "%25252F", "%2e", "%252e", ".", ";", ";x", ";x=1;y=2", "%3b", "%253bx", ":", "%3a", "::$DATA", "%3a%3a$DATA", "~", "~1", "+", "%20", "%2520",
		" ", "\t", "%09", "%0a", "%0d%0a", "%00", "%2500", "%00.html", "%01", "%7f", "%", "%zz", "%u002f", "?", "%3f", "%253f", "#", "%23", "%2523", "&", "|", "%7c", "^",
		"%ad", "%c2%ad", "%e2%80%8b", "%ef%bb%bf", "%c0%ae", "%c0%af", "%e0%80%af", "%ff", "\xff", "é", "%cc%81", "*", "$", "%24", "\x01",
		"(S(x))", "/(S(x))", "/(A(b)F(c))/", "...", "/.../", "/x.../", "/%e2%80%a6/", "%e2%80%a6", "%e2%80%a5", "%85",
	}
	slashes = []string{
		"%2f", "%2F", "%252f", "%25252f", "%2525252f", "//", "///", "/./", "/.//./", "/;/", "/;x=1/", "/.;/", "/;", ";/", "/%2e/", "%2f%2f", "%2f.%2f", "/+/",
		`\`, "%5c", "%255c", `/\`, "%c0%af", "%e0%80%af", "%c1%9c", "%ef%bc%8f", "%e2%88%95", "%e2%81%84", "%u002f", "%u2215", "%%32%66", "%2%66", "/%20", "%20/", "./", "+/",
	}
	prefixes = []string{
		"http://HOST", "HTTP://HOST", "https://HOST", "http://other.test", "http:", "/http://HOST", "//", "//HOST", "/", "/.", "/./", "/..", "/%2e%2e", "/%2e", "/%2f", "/;", "/;x", "/%20",
		"/public/..", "/public/../", "/public/%2e%2e", "/public/.%2e", "/public%2f..", "/public/..%2f", "/public/..;", "/public/..;x=1", "/public;/..", "/public/;/..", "/public/x/../..",
		`/public/..\`, "/public/..%5c", "/public/..%255c", "/public/..%252f", "/public/..%c0%af", "/public/..%00", "/public/..%20", "/public/...", "/public/.../..", "/public/x...", "/public/x.../..", "/public/%e2%80%a6", "/public/%e2%80%a6/..", "/(S(x))", "/public/(S(x))/..", "/public//..",
		"/public/hello.txt/..", "/public/hello.txt/../..", "/secret/..", "/x/..", "/front", "/front/", "/front.php", "/front.cgi", "/cgi-bin/..", "/WEB-INF/..", "*", "?", "%2f",
	}
	suffixes = []string{
		"/", "//", "/.", "/./", "/..", "/x", "/x/..", "/%2e", "/;", ";", ";x", ";.html", ";jsessionid=1", "%3b", "%3bx", ".", "..", "...", "%2e", "%20", "%20.", ".%20", "+", ":", "::$DATA",
		":x", "%00", "%00.html", "%00/public", "?", "?x", "??", "?/../public/", "%3f", "%3fx", "%253f", "#", "#x", "%23", "%23x", "%2523", "~", ".bak", ".txt", ".html", "%c2%a0", "%e3%80%80",
		"%e2%80%8b", " ", "\t", "%09", "%0a", "%0d", "*", "%2a", "%", "|", "/public/hello.txt", ";/public/hello.txt", "?/public/hello.txt", "&x", " HTTP/1.1",
	}
)

// letters are the ways to write one byte.
func letters(c byte) []string {
	upper, lower := fmt.Sprintf("%%%02X", c), fmt.Sprintf("%%%02x", c)
	all := []string{
		upper, lower, "%25" + upper[1:], "%25" + lower[1:], "%2525" + upper[1:], "%252525252525" + lower[1:],
		fmt.Sprintf("%%%%%02x%%%02x", lower[1], lower[2]), fmt.Sprintf("%%%c%%%02x", lower[1], lower[2]),
		fmt.Sprintf("%%u%04x", c), fmt.Sprintf("%%c%x%%%x", c>>6, c&0x3f|0x80), fmt.Sprintf("%%e0%%%x%%%x", c>>6|0x80, c&0x3f|0x80),
	}
	if c > ' ' && c < 0x7f {
		wide := string(rune(c) - ' ' + 0xff00)
		escaped := ""
		for _, b := range []byte(wide) {
			escaped += fmt.Sprintf("%%%02x", b)
		}
		all = append(all, wide, escaped, fmt.Sprintf("%%uff%02x", c-' '))
	}
	switch {
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		all = append(all, string(c^0x20), fmt.Sprintf("%%%02x", c^0x20))
	case c == '/':
		all = append(all, slashes...)
	case c == '.':
		all = append(all, "%e2%80%a4", "%ef%bd%a1", "..", "")
	}
	switch c {
	case 's':
		all = append(all, "%c5%bf")
	case 'k':
		all = append(all, "%e2%84%aa")
	case 'i':
		all = append(all, "%c4%b1", "%c4%b0")
	}
	return all
}

// onceChanged is every change of one place of a target.
func onceChanged(target string) []string {
	var all []string
	for i := range len(target) {
		for _, l := range letters(target[i]) {
			all = append(all, target[:i]+l+target[i+1:])
		}
		for _, text := range insertedTexts {
			all = append(all, target[:i]+text+target[i:])
		}
	}
	for _, text := range prefixes {
		all = append(all, text+target)
	}
	for _, text := range suffixes {
		all = append(all, target+text)
	}
	return all
}

// changed is one change, by chance.
func changed(random *rand.Rand, target string) string {
	any := func(texts []string) string { return texts[random.IntN(len(texts))] }
	at := random.IntN(len(target))
	switch random.IntN(8) {
	case 0:
		return any(prefixes) + target
	case 1:
		return target + any(suffixes)
	case 2:
		return target[:at] + any(insertedTexts) + target[at:]
	case 3:
		if at = strings.LastIndexByte(target[:at], '/'); at >= 0 {
			return target[:at] + any(slashes) + target[at+1:]
		}
		return "/" + target
	default:
		return target[:at] + any(letters(target[at])) + target[at+1:]
	}
}

// attack is the search for spellings of one server's secret.
type attack struct {
	tree   *legacytest.Tree
	gates  []treeGate
	random *rand.Rand
	sent   map[string]bool
	// yielding are the spellings that the server itself answers with the
	// secret.
	yielding []string
}
