package command

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commandTree is all commands as the program has them.
func commandTree() *cobra.Command {
	root := &cobra.Command{Use: "stepgate"}
	for _, c := range Commands() {
		sub := &cobra.Command{Use: c.Name, Short: c.Short}
		c.build(sub)
		root.AddCommand(sub)
	}
	return root
}

// documents are the pages that show commands.
func documents(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) < 5 {
		t.Fatalf("the pages were not found: %v, %v", files, err)
	}
	texts := map[string]string{}
	for _, file := range append(files, "../../README.md", "../../Caddyfile.example") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(text)
	}
	return texts
}

// shown are the command lines in a page: in backquotes, or a line of a block.
var shown = regexp.MustCompile("(?m)(?:`|^(?:\\$ )?)stepgate ([^`\n]+)")

// TestPagesShowCommandsThatThereAre follows every command that a page shows
// down the tree, flags included.
func TestPagesShowCommandsThatThereAre(t *testing.T) {
	root, found := commandTree(), 0
	for name, text := range documents(t) {
		for _, m := range shown.FindAllStringSubmatch(text, -1) {
			words := strings.Fields(m[1])
			at, rest, err := root.Find(words)
			if err != nil || at == root || m[1] == "store read" || m[1] == "store write" {
				continue // one of Caddy's own, or a step of a trace
			}
			found++
			if at.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
				t.Errorf("%s: `stepgate %s`: %s has no command %q", name, m[1], at.CommandPath(), rest[0])
			}
			for _, word := range rest {
				flag, ok := strings.CutPrefix(word, "--")
				if flag, _, _ = strings.Cut(flag, "="); ok && at.Flag(flag) == nil {
					t.Errorf("%s: `stepgate %s`: there is no --%s", name, m[1], flag)
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d commands were found in the pages", found)
	}
}

// TestEveryCommandIsOnAPage looks for the name of each command in the pages.
func TestEveryCommandIsOnAPage(t *testing.T) {
	var all strings.Builder
	for _, text := range documents(t) {
		all.WriteString(text)
	}
	pages := all.String()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if !regexp.MustCompile("[` ]" + regexp.QuoteMeta(sub.Name()) + "[` ,;\n]").MatchString(pages) {
				t.Errorf("no page names `%s`", sub.CommandPath())
			}
			walk(sub)
		}
	}
	walk(commandTree())
}
