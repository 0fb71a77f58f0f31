package legacytest

import (
	"encoding/json"
	"fmt"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// StartNodeRED runs Node-RED, whose editor signs people in by a script: a name
// and a password go to /auth/token, as JSON or as a form, and a good one is
// answered with a bearer token. admin may do everything, joe may read.
func StartNodeRED(tb testing.TB, _ Options) *App {
	tb.Helper()
	program := npmProgram(tb, "node-red") + "/node_modules/node-red/red.js"
	dir := newDir(tb)
	accounts := []Account{{"admin", "flow-Pass1"}, {"joe", "flow-Pass2"}}
	var users []map[string]string
	for i, a := range accounts {
		hash, err := bcrypt.GenerateFromPassword([]byte(a.Password), bcrypt.MinCost)
		if err != nil {
			tb.Fatalf("legacytest: node-red: %v", err)
		}
		users = append(users, map[string]string{"username": a.Username, "password": string(hash), "permissions": []string{"*", "read"}[i]})
	}
	list, err := json.Marshal(users)
	if err != nil {
		tb.Fatalf("legacytest: node-red: %v", err)
	}
	put(tb, dir, map[string]string{"flows.json": `[{"id":"f1","type":"tab","label":"Sluice gates"}]`})
	addr := serve(tb, func(addr string) command {
		put(tb, dir, map[string]string{"settings.js": fmt.Sprintf(`module.exports = {
	uiHost: "127.0.0.1", uiPort: %s, flowFile: "flows.json", credentialSecret: "county",
	adminAuth: { type: "credentials", users: %s },
	editorTheme: { tours: false },
	telemetry: { enabled: false, updateNotification: false },
	externalModules: { palette: { allowInstall: false }, modules: { allowInstall: false } },
	logging: { console: { level: "warn" } },
};
`, portOf(addr), list)})
		return command{name: "node-red", dir: dir, user: webUser, argv: []string{
			"/usr/bin/node", "--max-old-space-size=192", program, "--userDir", dir, "--settings", dir + "/settings.js",
		}}
	})
	return &App{
		Server:   Server{URL: "http://" + addr, Addr: addr, Dir: dir},
		Accounts: accounts,
		Login:    LoginForm{Page: "/", Submit: "/auth/token", UsernameField: "username", PasswordField: "password"},
	}
}
