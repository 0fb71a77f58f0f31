package legacytest

import (
	"fmt"
	"testing"
)

const wordpressCode = "/usr/share/wordpress"

// StartWordPress runs Debian's WordPress on MariaDB, its code in place. admin
// is an administrator; joe, a subscriber, and mallory, an author, are not.
// It knows itself by Options.PublicURL. A good login answers 302 with new
// cookies, a bad one 200 with the form. It takes some seconds.
func StartWordPress(tb testing.TB, o Options) *App {
	tb.Helper()
	needsPHP(tb, map[string]string{"mysqli": "php-mysql", "mbstring": "php-mbstring"})
	needs(tb, "wordpress", wordpressCode+"/wp-login.php")
	needs(tb, "wordpress-theme-twentytwentythree", wordpressCode+"/wp-content/themes/twentytwentythree")
	db := StartMariaDB(tb)
	name := db.database(tb)
	dir := newDir(tb)
	accounts := []Account{{"admin", "Adm1n-press"}, {"joe", "press-Pass1-joe"}, {"mallory", "press-Pass2-mallory"}}
	put(tb, dir, map[string]string{
		// Debian's own settings name files of /etc. The code looks for its
		// settings where ABSPATH says.
		"prepend.php": fmt.Sprintf("<?php define('ABSPATH', '%s/root/');\n", dir),
		"install.php": fmt.Sprintf(`<?php
define('WP_INSTALLING', true);
$_SERVER['HTTP_HOST'] = '127.0.0.1';
require '%[1]s/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Old portal', '%[2]s', 'admin@example.test', true, '', '%[3]s');
foreach ([['%[4]s', '%[5]s', 'subscriber'], ['%[6]s', '%[7]s', 'author']] as [$name, $password, $role]) {
	wp_insert_user(['user_login' => $name, 'user_pass' => $password, 'user_email' => "$name@example.test", 'role' => $role]);
}
`, wordpressCode, accounts[0].Username, accounts[0].Password, accounts[1].Username, accounts[1].Password, accounts[2].Username, accounts[2].Password),
	})
	makeDirs(tb, dir, "root", "uploads")
	linkAll(tb, wordpressCode, dir+"/root", "wp-config.php")
	settings := func(public string) { wordpressSettings(tb, dir, name, db.Addr, public) }
	settings("http://127.0.0.1")
	run(tb, command{name: "install", dir: dir, user: webUser, argv: []string{
		"php", "-d", "auto_prepend_file=" + dir + "/prepend.php", "-d", "sendmail_path=/bin/true", dir + "/install.php",
	}})
	addr := serve(tb, func(addr string) command {
		public := o.PublicURL
		if public == "" {
			public = "http://" + addr
		}
		settings(public)
		return phpServer("wordpress", dir, wordpressCode, "", "-d", "auto_prepend_file="+dir+"/prepend.php", "-d", "sendmail_path=/bin/true")(addr)
	})
	return &App{
		Server:   Server{URL: "http://" + addr, Addr: addr, Dir: dir},
		Accounts: accounts,
		Login:    LoginForm{Page: "/wp-login.php", Submit: "/wp-login.php", UsernameField: "log", PasswordField: "pwd"},
	}
}

// wordpressSettings writes wp-config.php: a database by its name, which is its
// user and password too, and the address that the site knows itself by.
func wordpressSettings(tb testing.TB, dir, database, addr, public string) {
	tb.Helper()
	put(tb, dir, map[string]string{"root/wp-config.php": fmt.Sprintf(`<?php
define('DB_NAME', '%[1]s');
define('DB_USER', '%[1]s');
define('DB_PASSWORD', '%[1]s');
define('DB_HOST', '%[2]s');
define('WP_HOME', '%[3]s');
define('WP_SITEURL', '%[3]s');
define('WP_CONTENT_DIR', '%[4]s/wp-content');
define('UPLOADS', '../../..%[5]s/uploads');
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
foreach (['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'] as $key) {
	define($key, hash('sha256', $key . '%[1]s'));
}
$table_prefix = 'wp_';
require_once ABSPATH . 'wp-settings.php';
`, database, addr, public, wordpressCode, dir)})
}
