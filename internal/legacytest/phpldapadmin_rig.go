package legacytest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

const phpLDAPAdminCode = "/usr/share/phpldapadmin"

// StartPHPLDAPAdmin runs Debian's phpLDAPadmin on a copy of its code (its
// configuration lies in the code's folder) with a directory of its own behind
// it. It signs in by a full DN: the manager's, then the people's. Both a good
// and a bad login answer 302 without a cookie: the good one to
// cmd.php?server_id=1, the bad one to cmd.php?cmd=login_form. It speaks English
// and, to whom asks for that, French.
func StartPHPLDAPAdmin(tb testing.TB, _ Options) (*App, *Directory) {
	tb.Helper()
	needsPHP(tb, map[string]string{"ldap": "php-ldap", "dom": "php-xml"})
	needs(tb, "phpldapadmin", phpLDAPAdminCode+"/htdocs/cmd.php")
	directory := StartDirectory(tb)
	dir := newDir(tb)
	code := dir + "/code"
	for _, folder := range []string{"hooks", "htdocs", "lib", "locale", "queries", "lang"} {
		if err := os.CopyFS(code+"/"+folder, os.DirFS(phpLDAPAdminCode+"/"+folder)); err != nil {
			tb.Fatalf("legacytest: phpldapadmin: %v", err)
		}
	}
	put(tb, dir, map[string]string{"code/config/config.php": fmt.Sprintf(`<?php
$config->custom->session['blowfish'] = '3f1c9d7e5b2a48660c1e9d7b5a3f2846';
$config->custom->appearance['hide_template_warning'] = true;
$servers = new Datastore();
$servers->newServer('ldap_pla');
$servers->setValue('server','name','County directory');
$servers->setValue('server','host','127.0.0.1');
$servers->setValue('server','port',%s);
$servers->setValue('server','base',array('%s'));
$servers->setValue('login','auth_type','session');
`, portOf(directory.Addr), directory.BaseDN)})
	// It joins cipher text, IV and tag of its session by "::" and fails, about
	// once in a hundred logins, where the random IV ends in a colon.
	put(tb, dir, map[string]string{"prepend.php": `<?php
function openssl_random_pseudo_bytes($length) { return str_replace(':', ';', random_bytes($length)); }
`})
	makeDirs(tb, dir, "code/templates/creation", "code/templates/modification")
	// It speaks French to whom asks for that, where the system knows French.
	needs(tb, "locales", "/usr/share/i18n/locales/fr_FR")
	makeDirs(tb, dir, "locale")
	if out, err := exec.CommandContext(tb.Context(), "localedef", "-i", "fr_FR", "-f", "UTF-8", dir+"/locale/fr_FR.UTF-8").CombinedOutput(); err != nil {
		tb.Fatalf("legacytest: phpldapadmin: %v\n%s", err, out)
	}
	php := phpServer("phpldapadmin", dir, code+"/htdocs", "", "-d", "error_reporting=22527",
		"-d", "disable_functions=openssl_random_pseudo_bytes", "-d", "auto_prepend_file="+dir+"/prepend.php")
	addr := serve(tb, func(addr string) command {
		c := php(addr)
		c.env = append(c.env, "LOCPATH="+dir+"/locale")
		return c
	})
	app := &App{
		Server:   Server{URL: "http://" + addr, Addr: addr, Dir: dir},
		Accounts: []Account{{directory.BindDN, directory.BindPassword}},
		Login: LoginForm{
			Page: "/cmd.php?cmd=login_form&server_id=1", Submit: "/cmd.php", UsernameField: "login", PasswordField: "login_pass",
		},
	}
	for _, a := range directory.Accounts {
		app.Accounts = append(app.Accounts, Account{directory.PersonDN(a.Username), a.Password})
	}
	return app, directory
}
