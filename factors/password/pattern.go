package password

import (
	"strings"
	"time"
)

// minRun is how many characters make a run.
const minRun = 3

// patterned tells whether s is nothing but runs of at least three: steps on
// the keyboard, through the alphabet or through the digits ("qwerty123",
// "1qaz2wsx", "abcd4321", "11223344"), or two such runs shuffled ("a1b2c3d4").
func patterned(s string) bool {
	if runs(s) {
		return true
	}
	var even, odd []byte
	for i := range len(s) {
		if i%2 == 0 {
			even = append(even, s[i])
		} else {
			odd = append(odd, s[i])
		}
	}
	return runs(string(even)) && runs(string(odd))
}

func runs(s string) bool {
	// reach[i]: s[:i] is nothing but runs.
	reach := make([]bool, len(s)+1)
	reach[0] = true
	for begin := range s {
		if !reach[begin] {
			continue
		}
		for _, step := range []func(a, b byte) bool{neighbours, ascends, descends} {
			end := begin + 1
			for end < len(s) && step(s[end-1], s[end]) {
				end++
				if end-begin >= minRun {
					reach[end] = true
				}
			}
		}
	}
	return len(s) >= minRun && reach[len(s)]
}

func ascends(a, b byte) bool  { return b == a+1 || a == '9' && b == '0' }
func descends(a, b byte) bool { return ascends(b, a) }

// keyboard has the rows as they lie below each other, QWERTY.
var keyboard = []string{"1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"}

// neighbours tells whether two keys touch, or are one.
func neighbours(a, b byte) bool {
	rowA, columnA, onA := key(a)
	rowB, columnB, onB := key(b)
	return onA && onB && near(rowA, rowB) && near(columnA, columnB)
}

func near(a, b int) bool { return a-b <= 1 && b-a <= 1 }

func key(c byte) (row, column int, on bool) {
	for row, keys := range keyboard {
		if column := strings.IndexByte(keys, c); column >= 0 {
			return row, column, true
		}
	}
	return 0, 0, false
}

// maxUnit is the length up to which a repeated unit is common whatever it is.
const maxUnit = 4

// repeated tells whether s is a short unit over and over ("hahahaha"); the
// last may be cut off.
func repeated(s string) bool {
	for unit := 1; unit <= maxUnit && 2*unit <= len(s); unit++ {
		if s[unit:] == s[:len(s)-unit] {
			return true
		}
	}
	return false
}

// date tells whether s is a day of the years 1900 to 2099 in six or eight
// digits, in the orders that people write.
func date(s string) bool {
	for _, layout := range []string{"02012006", "01022006", "20060102", "020106", "010206", "060102"} {
		if len(s) != len(layout) {
			continue
		}
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1900 && t.Year() < 2100 {
			return true
		}
	}
	return false
}
