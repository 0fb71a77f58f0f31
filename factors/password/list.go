package password

import (
	"bufio"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// List has passwords known to be breached, as the first eight bytes of their
// SHA-1: 8 bytes of memory a line. It is safe for concurrent use once read.
type List struct{ sorted []uint64 }

const (
	// maxLines bounds a list to 160 MB of memory.
	maxLines   = 20_000_000
	hashPrefix = "sha1:"
	hexDigits  = "0123456789abcdefABCDEF"
	shortHash  = 16
	wholeHash  = 2 * sha1.Size
)

// ReadList reads an operator's list. A line is either a password; or 40 hex
// digits, a SHA-1 as breach corpora publish it, with or without ":COUNT"
// behind it; or "sha1:" and at least the first 16 of these digits. Empty
// lines are skipped. Errors name the line, never what is in it.
func ReadList(r io.Reader) (*List, error) {
	l := &List{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			continue
		}
		if len(l.sorted) == maxLines {
			return nil, fmt.Errorf("breached passwords: more than %d lines", maxLines)
		}
		mark, err := markOfLine(line)
		if err != nil {
			return nil, fmt.Errorf("breached passwords: line %d: %w", n, err)
		}
		l.sorted = append(l.sorted, mark)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read breached passwords: %w", err)
	}
	slices.Sort(l.sorted)
	l.sorted = slices.Compact(l.sorted)
	return l, nil
}

func markOfLine(line string) (uint64, error) {
	digits, isHash := strings.CutPrefix(line, hashPrefix)
	if !isHash {
		whole, count, counted := strings.Cut(line, ":")
		if len(whole) != wholeHash || (counted && strings.Trim(count, "0123456789") != "") {
			return mark(line), nil
		}
		if strings.Trim(whole, hexDigits) != "" {
			return mark(line), nil
		}
		digits = whole
	}
	if len(digits) < shortHash || len(digits) > wholeHash || strings.Trim(digits, hexDigits) != "" {
		return 0, fmt.Errorf("%d to %d hex digits expected behind %q", shortHash, wholeHash, hashPrefix)
	}
	return strconv.ParseUint(digits[:shortHash], 16, 64)
}

// mark stands for a password. SHA-1 is the corpora's choice; nothing rests on
// its strength here.
func mark(password string) uint64 {
	sum := sha1.Sum([]byte(norm.NFC.String(password)))
	return binary.BigEndian.Uint64(sum[:])
}

// Len is how many different passwords the list has.
func (l *List) Len() int { return len(l.sorted) }

func (l *List) has(password string) bool {
	if l == nil {
		return false
	}
	_, found := slices.BinarySearch(l.sorted, mark(password))
	return found
}
