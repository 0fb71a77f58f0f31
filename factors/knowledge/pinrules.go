package knowledge

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"

	"github.com/stepgate/stepgate/factors"
)

const (
	// minPIN and maxPIN are how many digits a PIN has.
	minPIN, maxPIN = 6, 12
	// minDistinct is how many different digits it has at least.
	minDistinct = 3
)

// readPIN gives the digits of a typed PIN, whatever script they are in and
// however they are grouped. False says that it is none.
func readPIN(typed string) (string, bool) {
	var digits strings.Builder
	for _, r := range width.Fold.String(typed) {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Cf, r), r == '-':
		case unicode.Is(unicode.Nd, r):
			digits.WriteByte('0' + decimal(r))
		default:
			return "", false
		}
		if digits.Len() > maxPIN {
			return "", false
		}
	}
	return digits.String(), digits.Len() >= minPIN
}

// decimal is the value of a decimal digit: those of a script stand in a row of
// ten (Unicode §4.6).
func decimal(r rune) byte {
	zero := r
	for unicode.Is(unicode.Nd, zero-1) && r-zero < 9 {
		zero--
	}
	return byte((r - zero) % 10)
}

// choosePIN checks a PIN that a person has chosen.
func choosePIN(typed, again string) (string, error) {
	pin, ok := readPIN(typed)
	switch {
	case !ok:
		return "", &factors.Unsuitable{Field: "pin", Text: "error.pin.length"}
	case weakPIN(pin):
		return "", &factors.Unsuitable{Field: "pin", Text: "error.pin.weak"}
	}
	if repeated, _ := readPIN(again); repeated != pin {
		return "", &factors.Unsuitable{Field: "pin_again", Text: "error.pin.again"}
	}
	return pin, nil
}

// weakPIN tells whether a PIN is one that is tried first: few digits, a run, a
// short part again and again, a walk over a keypad, a date.
func weakPIN(pin string) bool {
	return distinct(pin) < minDistinct || steps(pin) || repeats(pin) || mirrored(pin) || walk(pin) || isDate(pin)
}

func distinct(pin string) int {
	digits := []byte(pin)
	slices.Sort(digits)
	return len(slices.Compact(digits))
}

// steps tells whether each digit follows the one before by the same step
// (123456, 975310, 135791), nine to zero included.
func steps(pin string) bool {
	step := (pin[1] - pin[0] + 10) % 10
	for i := 2; i < len(pin); i++ {
		if (pin[i]-pin[i-1]+10)%10 != step {
			return false
		}
	}
	return true
}

// repeats tells whether a PIN is a part of at most half its length again and
// again (123123, 121212).
func repeats(pin string) bool {
	for unit := 1; unit <= len(pin)/2; unit++ {
		if strings.HasPrefix(strings.Repeat(pin[:unit], len(pin)/unit+1), pin) {
			return true
		}
	}
	return false
}

// mirrored tells whether a PIN is a run up and down again, or in pairs
// (123321, 112233).
func mirrored(pin string) bool {
	half := len(pin) / 2
	backward := []byte(pin)
	slices.Reverse(backward)
	if string(backward) == pin && (half < 3 || steps(pin[:half])) {
		return true
	}
	var pairs []byte
	for i := 0; i+1 < len(pin); i += 2 {
		if pin[i] != pin[i+1] {
			return false
		}
		pairs = append(pairs, pin[i])
	}
	return len(pairs) >= 2 && steps(string(pairs))
}

// keypad is where the digits are on a telephone, row and column.
var keypad = map[byte][2]int{
	'1': {0, 0}, '2': {0, 1}, '3': {0, 2}, '4': {1, 0}, '5': {1, 1}, '6': {1, 2}, '7': {2, 0}, '8': {2, 1}, '9': {2, 2}, '0': {3, 1},
}

// walk tells whether a finger goes from key to touching key, along rows and
// columns, and never jumps (147896, 258963).
func walk(pin string) bool {
	for i := 1; i < len(pin); i++ {
		a, b := keypad[pin[i-1]], keypad[pin[i]]
		if abs(a[0]-b[0])+abs(a[1]-b[1]) != 1 {
			return false
		}
	}
	return true
}

func abs(n int) int { return max(n, -n) }

// isDate tells whether a PIN is a day of somebody's life, in any usual order.
func isDate(pin string) bool {
	for _, layout := range []string{"020106", "010206", "060102", "02012006", "01022006", "20060102", "012006", "200601"} {
		if len(layout) != len(pin) {
			continue
		}
		day, err := time.Parse(layout, pin)
		if err == nil && day.Year() >= 1900 && day.Year() <= 2099 {
			return true
		}
	}
	return false
}
