package legacytest

import (
	"fmt"
	"testing"
)

const mediawikiCode = "/usr/share/mediawiki"

// StartMediaWiki runs Debian's MediaWiki on SQLite, its code in place. Admin is
// an administrator, Bob is not. It sends browsers to Options.PublicURL. A good
// login answers 302 with three cookies, a bad one 200 with the form. It takes
// some seconds.
func StartMediaWiki(tb testing.TB, o Options) *App {
	tb.Helper()
	needsPHP(tb, map[string]string{"pdo_sqlite": "php-sqlite3", "dom": "php-xml", "mbstring": "php-mbstring", "intl": "php-intl"})
	needs(tb, "mediawiki", mediawikiCode+"/maintenance/install.php")
	dir := newDir(tb)
	accounts := []Account{{"Admin", "Adm1n-passw0rd"}, {"Bob", "wiki-Pass2-bob"}}
	makeDirs(tb, dir, "db", "conf", "images", "cache")
	maintenance := func(script string, args ...string) {
		tb.Helper()
		argv := append([]string{"php", mediawikiCode + "/maintenance/" + script}, args...)
		run(tb, command{name: script, dir: dir, user: webUser, argv: argv})
	}
	maintenance("install.php", "--dbtype=sqlite", "--dbpath="+dir+"/db", "--dbname=wiki", "--server=http://127.0.0.1",
		"--scriptpath=", "--pass="+accounts[0].Password, "--confpath="+dir+"/conf", "--skins=Vector", "Old wiki", accounts[0].Username)
	settings := dir + "/conf/LocalSettings.php"
	maintenance("createAndPromote.php", "--conf="+settings, accounts[1].Username, accounts[1].Password)

	addr := serve(tb, func(addr string) command {
		public := o.PublicURL
		if public == "" {
			public = "http://" + addr
		}
		put(tb, dir, map[string]string{"settings.php": fmt.Sprintf(`<?php
require '%s';
$wgServer = '%s';
$wgEnableUploads = true;
$wgUploadDirectory = '%s/images';
$wgCacheDirectory = '%s/cache';
$wgJobRunRate = 0;
`, settings, public, dir, dir)})
		c := phpServer("mediawiki", dir, mediawikiCode, "")(addr)
		c.env = append(c.env, "MW_CONFIG_FILE="+dir+"/settings.php")
		return c
	})
	const page = "/index.php?title=Special:UserLogin"
	return &App{
		Server:   Server{URL: "http://" + addr, Addr: addr, Dir: dir},
		Accounts: accounts,
		Login:    LoginForm{Page: page, Submit: page, UsernameField: "wpName", PasswordField: "wpPassword"},
	}
}
