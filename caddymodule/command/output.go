package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
)

// printer writes results: a line for people, or one JSON object a line.
type printer struct {
	out  io.Writer
	json bool
}

func newPrinter(cmd *cobra.Command) printer {
	asJSON, _ := cmd.Flags().GetBool("json")
	return printer{out: cmd.OutOrStdout(), json: asJSON}
}

// print writes v as JSON, or the sentence.
func (p printer) print(v any, sentence string, args ...any) error {
	if p.json {
		return p.object(v)
	}
	_, err := fmt.Fprintln(p.out, visible(fmt.Sprintf(sentence, args...)))
	return err
}

func (p printer) object(v any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// table writes rows in columns; the first has their names.
func (p printer) table(rows [][]string) error {
	columns := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = visible(cell)
		}
		fmt.Fprintln(columns, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return columns.Flush()
}

// visible keeps what came from elsewhere from moving a terminal's cursor or
// hiding in its text.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// number is a count with its noun: "1 account", "2 accounts".
func number[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
