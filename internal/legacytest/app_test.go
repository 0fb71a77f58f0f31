package legacytest

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"testing"
	"time"
)

func newClient(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// outcome is what tells logins of an application apart.
type outcome struct {
	status   int
	location string // part of it
	cookie   bool   // some cookie is set, not deleted
	form     bool   // the login form is in the body
}

func checkLogins(t *testing.T, app *App, good, bad outcome) {
	t.Helper()
	wrong := Account{app.Accounts[0].Username, "not-the-password"}
	checkLogin(t, app, wrong, bad)
	for _, who := range app.Accounts {
		checkLogin(t, app, who, good)
	}
}

func checkLogin(t *testing.T, app *App, who Account, want outcome) {
	t.Helper()
	res, body, err := app.Login.SignIn(t.Context(), newClient(t), app.URL, who)
	if err != nil {
		t.Fatal(err)
	}
	location := res.Header.Get("Location")
	form := strings.Contains(body, `name="`+app.Login.PasswordField+`"`)
	got := outcome{res.StatusCode, want.location, false, form}
	for _, c := range res.Cookies() {
		got.cookie = got.cookie || c.MaxAge >= 0 && (c.Expires.IsZero() || c.Expires.After(time.Now()))
	}
	if !strings.Contains(location, want.location) || (location == "") != (want.location == "") {
		got.location = location
	}
	if got != want {
		t.Errorf("%s with %q: %+v, want %+v\n%v\n%.2000s", who.Username, who.Password, got, want, res.Header, body)
	}
}

func TestDokuWikiTellsLoginsApart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts DokuWiki")
	}
	app := StartDokuWiki(t, Options{})
	checkLogins(t, app,
		outcome{status: http.StatusFound, location: "/doku.php?id=start", cookie: true},
		outcome{status: http.StatusForbidden, form: true})
}

func TestDokuWikiHasItsPages(t *testing.T) {
	if testing.Short() {
		t.Skip("starts DokuWiki")
	}
	app := StartDokuWiki(t, Options{})
	client := newClient(t)
	page := func(path string) string {
		t.Helper()
		return do(t, client, "GET", app.URL+path, "", nil)
	}
	if !strings.Contains(page("/doku.php?id=cases:1001"), "Ashdown Mills v. Harte") {
		t.Error("no case page")
	}
	if strings.Contains(page("/doku.php?id=private:notes"), "Only for people") {
		t.Error("a guest reads the private page")
	}
	if _, _, err := app.Login.SignIn(t.Context(), client, app.URL, app.Accounts[1]); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page("/doku.php?id=private:notes"), "Only for people") {
		t.Error("bob does not read the private page")
	}
	if strings.Contains(page("/doku.php?id=start&do=admin"), "User Manager") {
		t.Error("bob is administrator")
	}
}

func TestDokuWikiTakesUploads(t *testing.T) {
	if testing.Short() {
		t.Skip("starts DokuWiki")
	}
	app := StartDokuWiki(t, Options{})
	client := newClient(t)
	if _, _, err := app.Login.SignIn(t.Context(), client, app.URL, app.Accounts[1]); err != nil {
		t.Fatal(err)
	}
	manager := app.URL + "/lib/exe/mediamanager.php?ns=cases"
	page := do(t, client, "GET", manager, "", nil)
	token := regexp.MustCompile(`name="sectok" value="([0-9a-f]+)"`).FindStringSubmatch(page)
	if token == nil {
		t.Fatalf("no upload form:\n%.2000s", page)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range map[string]string{"sectok": token[1], "ns": "cases", "mediaid": "exhibit.txt"} {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("upload", "exhibit.txt")
	if err != nil {
		t.Fatal(err)
	}
	const text = "exhibit A\n"
	if _, err := file.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	answer := do(t, client, "POST", manager, form.FormDataContentType(), &body)
	if got := do(t, client, "GET", app.URL+"/lib/exe/fetch.php?media=cases:exhibit.txt", "", nil); got != text {
		t.Errorf("the upload comes back as %.500q, after the answer\n%.4000s", got, answer)
	}
}

// do sends a request and returns the body of the answer.
func do(t *testing.T, client *http.Client, method, address, contentType string, body io.Reader) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	_, text, err := exchange(client, r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMediaWikiTellsLoginsApart(t *testing.T) {
	if testing.Short() {
		t.Skip("installs MediaWiki")
	}
	app := StartMediaWiki(t, Options{})
	checkLogins(t, app,
		outcome{status: http.StatusFound, location: app.URL + "/index.php", cookie: true},
		outcome{status: http.StatusOK, form: true})
}

func TestMediaWikiSendsBrowsersToItsPublicURL(t *testing.T) {
	if testing.Short() {
		t.Skip("installs MediaWiki")
	}
	app := StartMediaWiki(t, Options{PublicURL: "https://wiki.example.test"})
	checkLogin(t, app, app.Accounts[0], outcome{status: http.StatusFound, location: "https://wiki.example.test/", cookie: true})
}

func TestShaarliTellsLoginsApart(t *testing.T) {
	if testing.Short() {
		t.Skip("installs Shaarli")
	}
	app := StartShaarli(t, Options{})
	checkLogins(t, app,
		outcome{status: http.StatusFound, location: "/", cookie: true},
		outcome{status: http.StatusOK, form: true})
}

func TestPHPLDAPAdminTellsLoginsApart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts phpLDAPadmin and slapd")
	}
	app, _ := StartPHPLDAPAdmin(t, Options{})
	checkLogins(t, app,
		outcome{status: http.StatusFound, location: "cmd.php?server_id=1"},
		outcome{status: http.StatusFound, location: "cmd.php?cmd=login_form"})
}

func TestWordPressTellsLoginsApart(t *testing.T) {
	if testing.Short() {
		t.Skip("installs WordPress")
	}
	app := StartWordPress(t, Options{})
	checkLogins(t, app,
		outcome{status: http.StatusFound, location: app.URL + "/wp-admin/", cookie: true},
		outcome{status: http.StatusOK, cookie: true, form: true})
}

func TestPHPMyAdminTellsLoginsApart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts phpMyAdmin and MariaDB")
	}
	app := StartPHPMyAdmin(t, Options{})
	checkLogins(t, app,
		outcome{status: http.StatusFound, location: "route=/", cookie: true},
		outcome{status: http.StatusOK, cookie: true, form: true})
}

func TestNodeREDHandsOutTokens(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Node-RED")
	}
	app := StartNodeRED(t, Options{})
	for password, want := range map[string]string{app.Accounts[1].Password: `"access_token"`, "not-the-password": "invalid_grant"} {
		body := `{"client_id":"node-red-editor","grant_type":"password","scope":"","username":"joe","password":"` + password + `"}`
		if got := do(t, newClient(t), "POST", app.URL+"/auth/token", "application/json", strings.NewReader(body)); !strings.Contains(got, want) {
			t.Errorf("%s: %.300s", password, got)
		}
	}
}
