package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// head is the global block: a store, and the protocols that its site speaks.
func head(store string, h2 bool) string {
	protocols := "h1"
	if h2 {
		protocols = "h1 h2c"
	}
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	log {
		output stderr
		level ERROR
	}
	servers {
		protocols %s
	}
	stepgate {
		store %s
		key_file stepgate.key
	}
}
`, protocols, store)
}

const onSQLite = "sqlite bench.db"

// plain is the site without a gate, with lines for its reverse_proxy.
func plain(h2 bool, set map[string]string) string {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(&lines, "\t\theader_up %s %q\n", name, set[name])
	}
	return head(onSQLite, h2) + "{{site}} {\n\treverse_proxy {{upstream}} {\n" + lines.String() + "\t}\n}\n"
}

// gated is the site behind the gate, with lines for its block and its policy.
func gated(store string, h2 bool, block, policy string) string {
	return head(store, h2) + "{{site}} {\n\tstepgate {\n" + block + "\t\tpolicy {\n" + policy + "\t\t}\n\t}\n\treverse_proxy {{upstream}}\n}\n"
}

// rules are what a portal of some size has, three at least but for the one.
func rules(n int) string {
	if n == 1 {
		return "\t\t\trequire mfa /cases/*\n"
	}
	var b strings.Builder
	b.WriteString("\t\t\tpublic /assets/* /favicon.ico\n\t\t\trequire mfa /cases/*\n\t\t\trequire signed_in /home\n")
	for i := range n - 3 {
		fmt.Fprintf(&b, "\t\t\trequire mfa POST /app%d/mod%d/*/edit /app%d/mod%d/reports/*.pdf\n", i/100, i%100, i/100, i%100)
	}
	return b.String()
}

// trusted lets a header say who it is, so that sessions by the thousand cost
// no password each. Nobody but this program reaches the gateway.
const trusted = "\t\tsign_in trusted {header.X-Person} from earlier_handler\n\t\tenrolment self\n"

// watched is the gate before an application that has a login form of its own.
const watched = `		enrolment self
		sign_in legacy_form {
			submit POST /login.php
			username_field user
			password_field pass
			success status 302 303
			success location !/login*
			failure body "Invalid password"
			session_cookie PORTALSESSID
			identity probe /profile.php "Signed in as <b>(.+?)</b>"
			login_page /login.php
		}
`
