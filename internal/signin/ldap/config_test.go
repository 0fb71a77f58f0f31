package ldap

import (
	"strings"
	"testing"
)

func TestCheckRefusesWhatWouldLeaveADoorOpen(t *testing.T) {
	good := Config{Servers: []string{"ldaps://ldap.example.gov"}, BaseDN: "ou=people,dc=example,dc=gov"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no server":            {func(c *Config) { c.Servers = nil }, "address of a server"},
		"unencrypted":          {func(c *Config) { c.Servers = []string{"ldap://ldap.example.gov"} }, "unencrypted"},
		"StartTLS within TLS":  {func(c *Config) { c.StartTLS = true }, "start_tls"},
		"another protocol":     {func(c *Config) { c.Servers = []string{"https://ldap.example.gov"} }, "ldap://"},
		"a path":               {func(c *Config) { c.Servers = []string{"ldaps://ldap.example.gov/dc=gov"} }, "without a path"},
		"no base":              {func(c *Config) { c.BaseDN = "" }, "base_dn"},
		"a base that is none":  {func(c *Config) { c.BaseDN = "people" }, "base_dn"},
		"a filter for anybody": {func(c *Config) { c.Filter = "(uid=joe)" }, "{username}"},
		"a broken filter":      {func(c *Config) { c.Filter = "(uid={username}" }, "filter"},
		"half a reader":        {func(c *Config) { c.BindDN = "cn=reader,dc=gov" }, "bind_password"},
	} {
		config := good
		c.change(&config)
		if err := config.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something of %q", name, err, c.want)
		}
	}
	insecure := good
	insecure.Servers, insecure.Insecure = []string{"ldap://127.0.0.1"}, true
	if err := insecure.Check(); err != nil {
		t.Errorf("insecure: %v", err)
	}
}

func FuzzFillKeepsANameInItsPlace(f *testing.F) {
	for _, seed := range []string{"joe", "*", "joe)(uid=*", `\2a`, "\x00", "(", "Jürgen", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		filter := fill("(&(objectClass=person)(uid={username}))", login{typed: name, name: name})
		inner := strings.TrimSuffix(strings.TrimPrefix(filter, "(&(objectClass=person)(uid="), "))")
		if strings.ContainsAny(inner, "()*\x00") {
			t.Errorf("%q became %q", name, filter)
		}
		if checkErr := checkFilter("(uid={username})"); checkErr != nil {
			t.Error(checkErr)
		}
	})
}
