package sqldb

import "testing"

func TestPlainTextToAnotherHostMustBeSaid(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for dsn, good := range map[string]bool{
		"postgres://u:p@db.example.gov/x":                     false,
		"host=db.example.gov user=u dbname=x":                 false,
		"host=localhost,db.example.gov user=u":                false,
		"postgres://u:p@10.0.0.5:5432/x":                      false,
		"postgres://u:p@db.example.gov/x?sslmode=disable":     true,
		"postgres://u:p@db.example.gov/x?sslmode=verify-full": true,
		"host=db.example.gov sslmode = require user=u":        true,
		"postgres://u:p@localhost/x":                          true,
		"postgres://u:p@[::1]:5432/x":                         true,
		"host=/var/run/postgresql dbname=x":                   true,
	} {
		if err := CheckDSN(dsn); (err == nil) != good {
			t.Errorf("%s: %v", dsn, err)
		}
	}
	t.Setenv("PGSSLMODE", "prefer")
	if err := CheckDSN("postgres://u:p@db.example.gov/x"); err != nil {
		t.Errorf("said by the environment: %v", err)
	}
}
