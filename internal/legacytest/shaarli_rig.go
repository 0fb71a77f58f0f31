package legacytest

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const shaarliCode = "/usr/share/shaarli"

// StartShaarli runs Debian's Shaarli with the account joe. Debian wrote the
// folders of its data and cache into the code, so the rig runs a copy in which
// those three paths are other ones; nothing else differs. A good login answers
// 302 with a new session cookie (and an empty Location where neither the login
// page's query nor a Referer said where to go), a bad one 200 with the form.
func StartShaarli(tb testing.TB, _ Options) *App {
	tb.Helper()
	needsPHP(tb, map[string]string{"dom": "php-xml", "mbstring": "php-mbstring", "intl": "php-intl", "gd": "php-gd"})
	needs(tb, "shaarli", shaarliCode+"/index.php")
	dir := newDir(tb)
	account := Account{"joe", "links-Pass1"}
	makeDirs(tb, dir, "state/data", "cache/cache", "cache/pagecache", "cache/tmp")
	copyShaarli(tb, dir)
	// PHP's server gives its own address as SERVER_NAME, which the app makes
	// its cookies' domain; behind a gateway that has to be the host of the
	// request.
	put(tb, dir, map[string]string{"router.php": `<?php
set_error_handler(fn() => true, E_DEPRECATED | E_USER_DEPRECATED); // thousands, and they hide the rest
$file = __DIR__ . '/code' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if (is_file($file) && !str_ends_with($file, '.php')) { return false; }
$_SERVER['SERVER_NAME'] = preg_replace('/:\d+$/', '', $_SERVER['HTTP_HOST'] ?? '127.0.0.1');
$_SERVER['SCRIPT_NAME'] = '/index.php';
$_SERVER['SCRIPT_FILENAME'] = __DIR__ . '/code/index.php';
chdir(__DIR__ . '/code');
require __DIR__ . '/code/index.php';
`})
	addr := serve(tb, phpServer("shaarli", dir, dir+"/code", dir+"/router.php", "-d", "error_reporting=22527"))
	app := &App{
		Server:   Server{URL: "http://" + addr, Addr: addr, Dir: dir},
		Accounts: []Account{account},
		Login:    LoginForm{Page: "/login?returnurl=/", Submit: "/login", UsernameField: "login", PasswordField: "password"},
	}
	installShaarli(tb, app)
	return app
}

func copyShaarli(tb testing.TB, dir string) {
	tb.Helper()
	paths := strings.NewReplacer("/usr/share/shaarli", dir+"/code", "/var/lib/shaarli", dir+"/state", "/var/cache/shaarli", dir+"/cache")
	err := filepath.WalkDir(shaarliCode, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, "code", strings.TrimPrefix(path, shaarliCode))
		info, err := os.Stat(path) // of what a link leads to
		if err != nil || info.IsDir() && !e.IsDir() {
			return nil // a link to nothing, or to a folder of Debian's other packages
		}
		if info.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".php") {
			text = []byte(paths.Replace(string(text)))
		}
		return os.WriteFile(target, text, 0o644)
	})
	if err != nil {
		tb.Fatalf("legacytest: shaarli: %v", err)
	}
}

// installShaarli answers the application's own installation page.
func installShaarli(tb testing.TB, app *App) {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{
		"setlogin": {app.Accounts[0].Username}, "setpassword": {app.Accounts[0].Password},
		"continent": {"UTC"}, "city": {"UTC"}, "title": {"Old links"}, "language": {"en"},
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, app.URL+"/install", strings.NewReader(form.Encode()))
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, body, err := exchange(client, r)
	if err != nil || res.StatusCode >= 400 || strings.Contains(body, "name=\"setlogin\"") {
		tb.Fatalf("legacytest: shaarli: install: %v %v\n%s", res, err, body)
	}
}
