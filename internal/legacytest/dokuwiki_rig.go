package legacytest

import (
	"fmt"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const dokuwikiCode = "/usr/share/dokuwiki"

// StartDokuWiki runs Debian's DokuWiki, its code in place and unmodified, its
// configuration and data in the rig's folder. alice is administrator, bob is
// not. Everybody may read; people may edit, and upload .txt and .bin besides
// the usual kinds. It has the pages start, cases:1001 and private:notes. A good
// login answers 302 with a new cookie, a bad one 403 with the form and the
// deletion of that cookie.
func StartDokuWiki(tb testing.TB, _ Options) *App {
	tb.Helper()
	needsPHP(tb, map[string]string{"dom": "php-xml", "mbstring": "php-mbstring"})
	needs(tb, "dokuwiki", dokuwikiCode+"/doku.php")
	dir := newDir(tb)
	accounts := []Account{{"alice", "wiki-Pass1"}, {"bob", "wiki-Pass2"}}
	makeDirs(tb, dir, "data/attic", "data/cache", "data/index", "data/locks", "data/log", "data/media",
		"data/media_attic", "data/media_meta", "data/meta", "data/tmp")
	put(tb, dir, map[string]string{
		"prepend.php": fmt.Sprintf("<?php define('DOKU_CONF', '%s/conf/');\n", dir),
		"conf/local.php": fmt.Sprintf(`<?php
$conf['title'] = 'Old wiki';
$conf['savedir'] = '%s/data';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['defaultgroup'] = 'user';
$conf['passcrypt'] = 'bcrypt';
$conf['updatecheck'] = 0;
$conf['subscribers'] = 0;
`, dir),
		"conf/acl.auth.php":            "*\t@ALL\t1\n*\t@user\t8\nprivate:*\t@ALL\t0\nprivate:*\t@user\t8\n",
		"conf/users.auth.php":          dokuwikiUser(tb, accounts[0], "user,admin") + dokuwikiUser(tb, accounts[1], "user"),
		"conf/mime.local.conf":         "txt text/plain\nbin !application/octet-stream\n",
		"data/pages/start.txt":         "====== Old wiki ======\nThe start page. See [[cases:1001]].\n",
		"data/pages/cases/1001.txt":    "====== Case 1001 ======\nAshdown Mills v. Harte.\n",
		"data/pages/private/notes.txt": "====== Private notes ======\nOnly for people who signed in.\n",
	})
	copyFiles(tb, "/etc/dokuwiki", dir+"/conf")
	addr := serve(tb, phpServer("dokuwiki", dir, dokuwikiCode, "", "-d", "auto_prepend_file="+dir+"/prepend.php"))
	return &App{
		Server:   Server{URL: "http://" + addr, Addr: addr, Dir: dir},
		Accounts: accounts,
		Login: LoginForm{
			Page: "/doku.php?id=start&do=login", Submit: "/doku.php?id=start&do=login",
			UsernameField: "u", PasswordField: "p",
		},
	}
}

func dokuwikiUser(tb testing.TB, a Account, groups string) string {
	tb.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(a.Password), bcrypt.MinCost)
	if err != nil {
		tb.Fatalf("legacytest: dokuwiki: %v", err)
	}
	// PHP's own mark for the same algorithm.
	return fmt.Sprintf("%s:$2y%s:%s Example:%s@example.test:%s\n", a.Username, hash[3:], a.Username, a.Username, groups)
}
