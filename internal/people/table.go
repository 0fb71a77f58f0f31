package people

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// MaxImportBytes bounds a table of people.
const MaxImportBytes = 16 << 20

// Disarm stands in an exported table before a cell that a spreadsheet would
// take for a formula, and is taken off where a table is read.
const Disarm = "'"

// armed takes the mark off a cell that has it for that reason alone.
func armed(cell string) string {
	rest, marked := strings.CutPrefix(cell, Disarm)
	if marked && rest != "" && strings.ContainsRune("=+-@\t\r", rune(rest[0])) {
		return rest
	}
	return cell
}

// columns are those that a table of people may have, in any order.
var columns = []string{"username", "email", "mobile", "name", "groups", "organisation", "role", "source", "subject"}

// row is one line of the table; line counts from 1, the header. Where wrong is
// set there is nothing else in it.
type row struct {
	line  int
	wrong error
	NewAccount
}

// readTable reads a CSV table (RFC 4180) whose first row names its columns.
func readTable(raw []byte) ([]row, error) {
	if len(raw) > MaxImportBytes {
		return nil, refused(say("the table is larger than %d MiB", MaxImportBytes>>20), say("import it in parts"))
	}
	if !utf8.Valid(raw) {
		return nil, refused(say("line %d: the table is not in UTF-8", firstForeign(raw)), say("save it as CSV in UTF-8"))
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, refused(say("the table is empty"), say("its first row names the columns: %s", strings.Join(columns, ",")))
	}
	if err != nil {
		line, wrong := badRow(err)
		return nil, refused(say("line %d: %s", line, wrong.Text), wrong.Mend)
	}
	if header, err = readHeader(header); err != nil {
		return nil, err
	}
	var rows []row
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			line, wrong := badRow(err)
			rows = append(rows, row{line: line, wrong: wrong})
			continue
		}
		line, _ := r.FieldPos(0)
		rows = append(rows, row{line: line, NewAccount: newAccount(header, fields)})
	}
}

// firstForeign is the line of a table on which it is no UTF-8.
func firstForeign(raw []byte) int {
	line := 1
	for _, text := range bytes.SplitAfter(raw, []byte("\n")) {
		if !utf8.Valid(text) {
			break
		}
		line++
	}
	return line
}

func readHeader(header []string) ([]string, error) {
	names := make([]string, 0, len(header))
	for _, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(columns, name) {
			return nil, noColumn(name)
		}
		if slices.Contains(names, name) {
			return nil, refused(say("line 1: column %q is there twice", name), say("leave one of them out"))
		}
		names = append(names, name)
	}
	if !slices.Contains(names, "username") {
		return nil, refused(say("line 1: there is no column \"username\""), say("the first row names the columns: %s", strings.Join(columns, ",")))
	}
	return names, nil
}

func noColumn(name string) error {
	mend := say("the columns are %s", strings.Join(columns, ","))
	if strings.ContainsAny(name, ";\t") {
		mend = say("separate the columns by commas")
	} else if meant := policy.Nearest(name, columns); meant != "" {
		mend = say("did you mean %q?", meant)
	}
	return refused(say("line 1: there is no column %q", name), mend)
}

// badRow is what is wrong with a row that is none, and where it begins. The
// reader goes on behind it.
func badRow(err error) (line int, wrong *Error) {
	var at *csv.ParseError
	if errors.As(err, &at) {
		line = at.StartLine
	}
	wrong = &Error{Text: say("the row cannot be read"), Mend: say("write a double quote within quotes twice"), kind: ErrRefused}
	if errors.Is(err, csv.ErrFieldCount) {
		wrong.Text, wrong.Mend = say("the row has more or fewer fields than the first row"), say("put fields with a comma in double quotes")
	}
	return line, wrong
}

func newAccount(header, fields []string) NewAccount {
	var n NewAccount
	for i, name := range header {
		value := strings.TrimSpace(armed(fields[i]))
		switch name {
		case "username":
			n.Username = value
		case "email":
			n.Email = value
		case "mobile":
			n.Mobile = value
		case "name":
			n.Name = value
		case "groups":
			n.Groups = strings.Split(value, ";")
		case "organisation":
			n.Organisation = value
		case "role":
			n.Role = account.Role(value)
		case "source":
			n.Source = value
		case "subject":
			n.Subject = value
		}
	}
	return n
}
