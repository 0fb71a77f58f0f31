package policy

import (
	"slices"
	"strings"
)

// Nearest returns the word of known that somebody who wrote word most likely
// meant, or "" when none is near. Letter case, `-` and `_` do not count, nor
// does the order of known: of two that are equally near the first in the
// alphabet wins.
func Nearest(word string, known []string) string {
	plain := flatten(word)
	if len(plain) == 0 {
		return ""
	}
	best, bestCost := "", 1+max(1, len(plain)/3)
	for _, candidate := range known {
		other := flatten(candidate)
		cost := distance(plain, other)
		if len(plain) >= 3 && len(other) > len(plain) && slices.Equal(other[:len(plain)], plain) {
			cost = min(cost, 1)
		}
		if cost < bestCost || cost == bestCost && best != "" && candidate < best {
			best, bestCost = candidate, cost
		}
	}
	return best
}

func flatten(word string) []rune {
	return []rune(strings.ReplaceAll(strings.ToLower(word), "-", "_"))
}

// distance counts the letters to add, drop, replace or swap with their
// neighbour that lead from a to b.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
