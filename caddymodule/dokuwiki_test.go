package caddymodule

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/legacytest"
)

const wikiSites = `{{site}} {
	stepgate {
		policy {
			default signed_in
		}
	}
	reverse_proxy GATED
}

BARE {
	reverse_proxy BEHIND
}
`

// reader is somebody who uses a wiki, and the transcript of what they saw.
type reader struct {
	t      *testing.T
	client *http.Client
	base   string
	script []string
	page   string // the last body
	header http.Header
}

// inconstant is what differs between two answers of the same wiki to the same
// request: tokens and ticks of the clock.
var inconstant = []*regexp.Regexp{
	regexp.MustCompile(`(?:DW|\b)[0-9a-f]{32}\b`),                    // sectok, changecheck, tseed; the cookie is called after the port
	regexp.MustCompile(`\b(?:17|18)\d{8}\b`),                         // seconds since 1970: forms, the task runner's picture
	regexp.MustCompile(`\d{4}\\?/\d\d\\?/\d\d \d\d:\d\d`),            // last modified, signatures in scripts too
	regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+\d\d:?\d\d`), // of feeds and the page's head
}

func constant(base, text string) string {
	text = strings.NewReplacer(mustParse(base).Host, "HOST", url.QueryEscape(mustParse(base).Host), "HOST").Replace(text)
	for _, r := range inconstant {
		text = r.ReplaceAllString(text, "~")
	}
	return text
}

// compared are the headers of an answer as both ways must show them. Left out
// are what is of the moment (Date, the times of files, tags made of them, the
// length of a body with such things in it) and the length of an empty body, of
// which the wiki says nothing and net/http what it knows when the proxy flushes;
// of cookies the values. The gateway adds `Cache-Control: private, no-cache`
// where the wiki says nothing of caching.
func compared(base string, h http.Header, empty bool) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		switch name {
		case "Content-Length":
			if empty {
				continue
			}
			fallthrough
		case "Date", "Last-Modified", "Etag", "Expires":
			fmt.Fprintf(&b, "%s is there\n", name)
		case "Set-Cookie":
			for _, c := range h[name] {
				pair, attributes, _ := strings.Cut(c, ";")
				cookie, _, _ := strings.Cut(pair, "=")
				fmt.Fprintf(&b, "Set-Cookie: %s=~;%s\n", constant(base, cookie), expiry.ReplaceAllString(attributes, "~"))
			}
		case "Cache-Control":
			if !slices.Equal(h[name], []string{"private, no-cache"}) {
				fmt.Fprintf(&b, "%s: %q\n", name, h[name])
			}
		default:
			fmt.Fprintf(&b, "%s: %s\n", name, constant(base, fmt.Sprintf("%q", h[name])))
		}
	}
	return b.String()
}

var expiry = regexp.MustCompile(`(?i)expires=[^;]*GMT|max-age=\d+`)

// send sends a request as it is and writes down the answer.
func (u *reader) send(method, target string, body io.Reader, headers ...string) {
	u.t.Helper()
	r, err := http.NewRequestWithContext(u.t.Context(), method, u.base+target, body)
	if err != nil {
		u.t.Fatal(err)
	}
	if target != r.URL.RequestURI() { // what browsers send and net/url would not
		r.URL.Opaque = "//" + r.URL.Host + target
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Dest", "document")
	resp, err := u.client.Do(r)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	u.page, u.header = string(text), resp.Header
	seen := constant(u.base, u.page)
	u.script = append(u.script, fmt.Sprintf("%s %s\n%d\n%sbody %x of %d", method, constant(u.base, target), resp.StatusCode, compared(u.base, resp.Header, u.page == "" && method != http.MethodHead),
		sha256.Sum256([]byte(seen)), len(seen)))
	if len(headers) == 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		u.script = append(u.script, seen)
	}
}

func (u *reader) get(target string, headers ...string) {
	u.t.Helper()
	u.send("GET", target, nil, headers...)
}

func (u *reader) post(target string, form url.Values) {
	u.t.Helper()
	u.send("POST", target, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded", "Origin", u.base, "Referer", u.base+target)
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// hidden are the hidden fields of the last page.
func (u *reader) hidden() url.Values {
	form := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(u.page, -1) {
		form.Set(m[1], m[2])
	}
	return form
}

// use does what people do with a wiki.
func (u *reader) use(app *legacytest.App) {
	u.t.Helper()
	bob := app.Accounts[1]
	for _, target := range []string{
		"/", "/doku.php", "/doku.php?id=start", "/doku.php/cases:1001", "/doku.php?id=cases:1001&do=edit", "/doku.php?id=a:b&do=edit",
		"/doku.php?id=%C3%BCbersicht:%E6%97%A5%E6%9C%AC", "/doku.php/%C3%BCbersicht:caf%C3%A9", "/doku.php?id=a+b%20c&x[]=1&x[]=2", "/doku.php?id=..:..:x",
		"/doku.php?do=search&q=%22Ashdown%20Mills%22", "/doku.php?id=cases:1001&do=revisions", "/doku.php?id=private:notes", "/nothing/here.html",
		"/lib/images/wiki.png?a=1;b=2", "/feed.php?mode=list&ns=cases", "/doku.php?id=start&do=login&", "/doku.php?id=x%26y&do=%65dit",
	} {
		u.get(target)
	}
	u.send("HEAD", "/doku.php?id=start", nil)
	u.get("/lib/exe/css.php?t=dokuwiki", "Accept-Encoding", "gzip")
	u.post("/lib/exe/ajax.php", url.Values{"call": {"qsearch"}, "q": {"start"}})

	login := func(password string) {
		u.get(app.Login.Page)
		form := u.hidden()
		form.Set(app.Login.UsernameField, bob.Username)
		form.Set(app.Login.PasswordField, password)
		u.post(app.Login.Submit, form)
	}
	login("not-the-password")
	login(bob.Password)
	u.get("/doku.php?id=private:notes")

	const page = "/doku.php?id=%C3%BCbersicht:neu"
	u.get(page + "&do=edit")
	form := u.hidden()
	form.Set("wikitext", "====== Übersicht ======\r\n100 % & <b> \"日本\" + more; a=b\r\n")
	form.Set("summary", "neu & gut")
	form.Set("do[save]", "1")
	u.post(page, form)
	u.get(page)
	if !strings.Contains(u.page, "日本") {
		u.t.Errorf("the edit is not there at %s:\n%s", u.base, short(u.page))
	}

	u.get("/lib/exe/mediamanager.php?ns=cases")
	var body bytes.Buffer
	upload := multipart.NewWriter(&body)
	for name, value := range map[string]string{"sectok": u.hidden().Get("sectok"), "ns": "cases", "mediaid": "exhibit.bin"} {
		if err := upload.WriteField(name, value); err != nil {
			u.t.Fatal(err)
		}
	}
	file, err := upload.CreateFormFile("upload", "exhibit ü.bin")
	if err != nil {
		u.t.Fatal(err)
	}
	file.Write(bytes.Repeat([]byte("\x00\xff\r\n--boundary\r\n"), 20<<10))
	upload.Close()
	u.send("POST", "/lib/exe/mediamanager.php?ns=cases", &body, "Content-Type", upload.FormDataContentType(), "Origin", u.base)
	const media = "/lib/exe/fetch.php?media=cases:exhibit.bin"
	u.get(media)
	if len(u.page) != 16*20<<10 {
		u.t.Errorf("the upload is not there at %s: %d bytes", u.base, len(u.page))
	}
	tag := u.header.Get("ETag")
	u.send("HEAD", media, nil)
	u.get(media, "Range", "bytes=10-19")
	u.get(media, "Range", "bytes=-5")
	u.get(media, "Range", "bytes=0-3,8-11")
	u.get(media, "If-None-Match", tag)
	u.get(media, "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")

	u.get("/doku.php?id=start")
	logout := regexp.MustCompile(`do=logout&(?:amp;)?sectok=([0-9a-f]+)`).FindStringSubmatch(u.page)
	if logout == nil {
		u.t.Fatalf("not signed in to the wiki at %s:\n%s", u.base, short(u.page))
	}
	u.get("/doku.php?id=start&do=logout&sectok=" + logout[1])
	u.get("/doku.php?id=private:notes")
}

// TestDokuWikiIsTheSameThroughTheGateway uses two fresh wikis alike, one
// behind the gateway and one behind a bare reverse_proxy, and compares every
// answer.
func TestDokuWikiIsTheSameThroughTheGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("starts DokuWiki")
	}
	gated, behind := legacytest.StartDokuWiki(t, legacytest.Options{}), legacytest.StartDokuWiki(t, legacytest.Options{})
	bare := "http://" + freeAddress(t)
	g := startGateway(t, strings.NewReplacer("GATED", gated.Addr, "BARE", bare, "BEHIND", behind.Addr).Replace(wikiSites), nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/doku.php?id=start").at("/sign-in"), "joe").want(200, "/doku.php?id=start")
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	through := &reader{t: t, client: b.client, base: g.url}
	through.use(gated)

	plain := g.browser()
	plain.client.CheckRedirect = b.client.CheckRedirect
	// The wiki has met the other browser once already, with the same page.
	plain.get(bare + "/doku.php?id=start")
	without := &reader{t: t, client: plain.client, base: bare}
	without.use(behind)

	if len(without.script) != len(through.script) {
		t.Fatalf("%d answers without the gateway, %d through it", len(without.script), len(through.script))
	}
	for i := range without.script {
		if diff := cmp.Diff(without.script[i], through.script[i]); diff != "" {
			t.Errorf("answer %d differs: %s", i, diff)
		}
	}
	t.Logf("%d answers and pages are the same", len(through.script))
}
