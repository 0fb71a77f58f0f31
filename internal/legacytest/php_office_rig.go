package legacytest

import "testing"

// StartPHPOffice runs an old portal on PHP's own sessions: they are found in
// queries and forms too, keep their id at sign-in, and are locked while a page
// is made. People are joe, ann and mallory with the passwords old-Pass1 to
// old-Pass3. Besides the form at /login.php there is another sign-in at
// /api/login that nobody speaks of. A field kb has either answer with a page of
// so many thousand bytes. url is its address.
func StartPHPOffice(tb testing.TB) (url string) {
	tb.Helper()
	needsPHP(tb, nil)
	dir := newDir(tb)
	put(tb, dir, map[string]string{"office.php": officePHP})
	return "http://" + serve(tb, phpServer("php", dir, dir, dir+"/office.php", "-d", "session.use_only_cookies=0", "-d", "session.use_strict_mode=0",
		"-d", "session.name=OFFICESESS", "-d", "output_buffering=0"))
}

const officePHP = `<?php
session_start();
$people = ['joe' => 'old-Pass1', 'ann' => 'old-Pass2', 'mallory' => 'old-Pass3'];
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$name = $_POST['user'] ?? $_POST['name'] ?? '';
$good = isset($people[$name]) && $people[$name] === ($_POST['pass'] ?? $_POST['secret'] ?? '');
// write writes thousands of bytes. The session is locked until all is written.
function write($kb) {
	for ($i = 0; $i < $kb; $i++) {
		echo str_repeat('.', 999), "\n";
		flush();
	}
}
switch ($path) {
case '/login.php':
	if ($_SERVER['REQUEST_METHOD'] === 'POST' && $good) {
		$_SESSION['who'] = $name;
		if (isset($_POST['kb'])) {
			write($_POST['kb']);
			exit('welcome');
		}
		header('Location: /home.php');
		exit;
	}
	echo $name === '' ? '' : 'Invalid password';
	echo '<form method="post" action="/login.php"><input name="user"><input type="password" name="pass"></form>';
	break;
case '/api/login':
	if ($good) {
		$_SESSION['who'] = $name;
	}
	write($_POST['kb'] ?? 300);
	echo 'as "', $_SESSION['who'] ?? '', '"';
	break;
case '/logout.php':
	session_destroy();
	setcookie('OFFICESESS', '', 1, '/');
	header('Location: /login.php');
	break;
case '/profile.php':
	echo isset($_SESSION['who']) ? 'Signed in as <b>' . htmlspecialchars($_SESSION['who']) . '</b>' : 'Please sign in';
	break;
default:
	echo 'as "', $_SESSION['who'] ?? '', '" at ', htmlspecialchars($path);
}
`
