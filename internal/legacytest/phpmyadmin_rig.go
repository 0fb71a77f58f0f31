package legacytest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

const phpmyadminCode = "/usr/share/phpmyadmin"

// StartPHPMyAdmin runs Debian's phpMyAdmin in front of MariaDB, its code in
// place. Its people are those of the database: the first may do everything,
// the second has one database. A good login answers 302 with new cookies, a
// bad one 200 with the form. It takes some seconds.
func StartPHPMyAdmin(tb testing.TB, _ Options) *App {
	tb.Helper()
	needsPHP(tb, map[string]string{"mysqli": "php-mysql", "mbstring": "php-mbstring", "dom": "php-xml"})
	needs(tb, "phpmyadmin", phpmyadminCode+"/index.php")
	db := StartMariaDB(tb)
	name := db.database(tb)
	accounts := []Account{{"boss", "db-Pass1-boss"}, {"clerk", "db-Pass2-clerk"}}
	db.run(tb, "CREATE OR REPLACE USER boss@'%' IDENTIFIED BY '"+accounts[0].Password+"'", "GRANT ALL ON *.* TO boss@'%' WITH GRANT OPTION",
		"CREATE OR REPLACE USER clerk@'%' IDENTIFIED BY '"+accounts[1].Password+"'", "GRANT ALL ON "+name+".* TO clerk@'%'",
		"CREATE TABLE "+name+".cases (id INT PRIMARY KEY, parties TEXT)", "INSERT INTO "+name+".cases VALUES (1001, 'Ashdown Mills v. Harte')")
	dir := newDir(tb)
	// Debian's own settings are files of /etc. The code looks for what names
	// them below ROOT_PATH.
	makeDirs(tb, dir, "root/libraries", "tmp")
	linkAll(tb, phpmyadminCode, dir+"/root", "libraries")
	linkAll(tb, phpmyadminCode+"/libraries", dir+"/root/libraries", "vendor_config.php")
	put(tb, dir, map[string]string{
		"prepend.php": fmt.Sprintf("<?php define('ROOT_PATH', '%s/root/');\n", dir),
		"root/libraries/vendor_config.php": fmt.Sprintf(`<?php
return array_merge(require '%s/libraries/vendor_config.php', ['configFile' => '%s/config.php', 'tempDir' => '%s/tmp/']);
`, phpmyadminCode, dir, dir),
		"config.php": fmt.Sprintf(`<?php
$cfg['blowfish_secret'] = '3f1c9d7e5b2a48660c1e9d7b5a3f2846';
$cfg['Servers'][1] = ['auth_type' => 'cookie', 'host' => '127.0.0.1', 'port' => '%s', 'compress' => false, 'AllowNoPassword' => false];
$cfg['SendErrorReports'] = 'never';
`, portOf(db.Addr)),
	})
	addr := serve(tb, phpServer("phpmyadmin", dir, phpmyadminCode, "", "-d", "auto_prepend_file="+dir+"/prepend.php", "-d", "error_reporting=22527"))
	return &App{
		Server:   Server{URL: "http://" + addr, Addr: addr, Dir: dir},
		Accounts: accounts,
		Login:    LoginForm{Page: "/index.php", Submit: "/index.php?route=/", UsernameField: "pma_username", PasswordField: "pma_password"},
	}
}

// linkAll links to everything in a folder but one entry.
func linkAll(tb testing.TB, from, to, but string) {
	tb.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	for _, e := range entries {
		if e.Name() == but {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			tb.Fatalf("legacytest: %v", err)
		}
	}
}
