package command

import (
	"errors"
	"regexp"
	"strings"
)

// moduleChain are the words in which Caddy tells by which modules it came to
// an error. Of ours, which names file and line, they say nothing more.
var moduleChain = regexp.MustCompile(`(?:loading \S+ app module|provision \S+|server \S+|` +
	`setting up (?:route handlers|subroutes)|route \d+|loading handler modules|position \d+|loading module '[^']*'|\S+: invalid configuration|stepgate): `)

// plainly is an error of ours without the names of the modules around it. What
// is not ours stays as it is.
func plainly(err error) error {
	if err == nil || !strings.Contains(err.Error(), "stepgate: ") {
		return err
	}
	text := err.Error()
	first, rest, several := strings.Cut(text, "\n")
	first = moduleChain.ReplaceAllString(first, "")
	if several {
		first += "\n" + rest
	}
	return errors.New(first)
}
