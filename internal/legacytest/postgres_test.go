package legacytest

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestPostgresGivesEachTestADatabaseOfItsOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostgreSQL")
	}
	first, second := StartPostgres(t), StartPostgres(t)
	if first == second {
		t.Fatal("one database for both")
	}
	for _, dsn := range []string{first, second} {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "CREATE TABLE marker (n int)"); err != nil {
			t.Errorf("not empty: %v", err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestPostgresDropsTheDatabaseAfterTheTest(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostgreSQL")
	}
	var dsn string
	t.Run("a test", func(t *testing.T) { dsn = StartPostgres(t) })
	StartPostgres(t) // the cluster goes on
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the database is still there")
	}
}
