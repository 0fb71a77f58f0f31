package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// Source is where the text of a key ring comes from: a file, or a vault by way
// of the environment or of a command. The zero value is no source.
type Source struct {
	// File is the path of the key file. It is what Rotate changes.
	File string
	// Env is the name of an environment variable that holds the file's text.
	Env string
	// Command is a program, with its arguments, that prints it. It runs without
	// a shell, for no longer than ten seconds.
	Command []string
}

// commandTimeout is how long a command may take.
const commandTimeout = 10 * time.Second

// ErrElsewhere says that the keys are not in a file, so that nobody here can
// change them.
var ErrElsewhere = errors.New("keys: kept elsewhere")

// String names the source, for messages and to tell sources apart. It is no
// secret: a command's arguments are left out.
func (s Source) String() string {
	switch {
	case len(s.Command) > 0:
		return "command " + s.Command[0]
	case s.Env != "":
		return "environment variable " + s.Env
	default:
		return s.File
	}
}

// IsFile tells whether the keys are in a file.
func (s Source) IsFile() bool { return s.Env == "" && len(s.Command) == 0 }

// Load is the ring of a source. Its errors say what is lost without it and hold
// nothing of what was read.
func (s Source) Load(ctx context.Context) (*Ring, error) {
	set, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	return newRing(set), nil
}

// read is the source's present content.
func (s Source) read(ctx context.Context) (*keySet, error) {
	if s.IsFile() {
		return readFile(s.File)
	}
	text, err := s.text(ctx)
	if err == nil && len(bytes.TrimSpace(text)) == 0 {
		err = errors.New("is empty")
	}
	var set *keySet
	if err == nil {
		set, err = parseFile(text)
	}
	if err != nil {
		return nil, &SourceError{Source: s.String(), Err: err}
	}
	return set, nil
}

func (s Source) text(ctx context.Context) ([]byte, error) {
	if len(s.Command) == 0 {
		text, there := os.LookupEnv(s.Env)
		if !there {
			return nil, errors.New("is not set")
		}
		return []byte(text), nil
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...)
	cmd.WaitDelay = time.Second
	var said limited
	cmd.Stdout = &said // what it writes to its standard error may hold anything, and is not read
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("has not ended within %s", commandTimeout)
		}
		return nil, fmt.Errorf("failed: %w", err)
	}
	return said.kept.Bytes(), nil
}

// limited takes as much as a key file may be. The buffer is not embedded: it
// would read for itself.
type limited struct{ kept bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.kept.Len()+len(p) > maxFileBytes {
		return 0, io.ErrShortWrite
	}
	return l.kept.Write(p)
}

// SourceError says what is wrong with keys that are in no file.
type SourceError struct {
	Source string
	Err    error
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("the keys from %s: %v; %s; give it the whole text of the key file", e.Source, e.Err, lostWithout)
}

func (e *SourceError) Unwrap() error { return e.Err }
