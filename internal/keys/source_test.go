package keys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vault is a program that prints the file at path, or fails.
func vault(t *testing.T, script string) Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vault")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return Source{Command: []string{path, "kv/stepgate"}}
}

func TestARingComesFromAFileTheEnvironmentOrACommand(t *testing.T) {
	r, path := create(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("STEPGATE_TEST_KEYS", string(text))
	for name, source := range map[string]Source{
		"file": {File: path}, "environment": {File: path + ".none", Env: "STEPGATE_TEST_KEYS"},
		"command": vault(t, `[ "$1" = kv/stepgate ] && cat `+path),
	} {
		other, err := source.Load(t.Context())
		if err != nil || other.List()[0].ID != r.List()[0].ID {
			t.Errorf("%s: %v", name, err)
		}
		if source.IsFile() != (name == "file") {
			t.Errorf("%s is a file: %t", name, source.IsFile())
		}
	}
	// A reload takes over a key that was prepared elsewhere.
	if _, err := load(t, path).Prepare(path, r.List()[0].Created); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context(), vault(t, "cat "+path), nil); err != nil || len(r.List()) != 2 {
		t.Errorf("%v, %d keys", err, len(r.List()))
	}
	if err := r.Reload(t.Context(), Source{Env: "STEPGATE_TEST_KEYS"}, nil); !errors.Is(err, ErrWrongKey) {
		t.Errorf("a source that lacks a key in use: %v", err)
	}
}

func TestASourceThatGivesNoRingSaysWhichAndNothingSecret(t *testing.T) {
	_, path := create(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	secret := strings.Fields(lines[len(lines)-1])[3]
	t.Setenv("STEPGATE_TEST_CUT", string(text[:len(text)-20]))
	t.Setenv("STEPGATE_TEST_EMPTY", " \n")
	for _, c := range []struct {
		source Source
		want   string
	}{
		{Source{Env: "STEPGATE_TEST_UNSET"}, "environment variable STEPGATE_TEST_UNSET: is not set"},
		{Source{Env: "STEPGATE_TEST_EMPTY"}, "is empty"},
		{Source{Env: "STEPGATE_TEST_CUT"}, "line "},
		{Source{Command: []string{"/nonexistent/vault"}}, "command /nonexistent/vault: failed"},
		{vault(t, "cat "+path+" >&2; exit 3"), "exit status 3"},
		{vault(t, "cat "+path+"; exit 3"), "exit status 3"},
		{vault(t, "head -c 2000000 /dev/zero"), "failed"},
		{vault(t, "echo v1 ABC "+secret), "not a key line"},
	} {
		ring, err := c.source.Load(t.Context())
		if err == nil || ring != nil {
			t.Errorf("%s gives a ring", c.source)
			continue
		}
		said := err.Error()
		if !strings.Contains(said, c.want) || !strings.Contains(said, "everyone is signed out") || strings.Contains(said, secret[:12]) {
			t.Errorf("%s: %q, want %q", c.source, said, c.want)
		}
	}
}
