package people

import "github.com/stepgate/stepgate/internal/account"

// nearest returns the candidate that a person most likely meant by name, or
// nothing if none is close: at most a third of the letters differ, or one.
func nearest(name string, candidates []string) string {
	typed := []rune(account.FoldUsername(name))
	if len(typed) < 2 {
		return ""
	}
	best, bestDistance := "", max(len(typed)/3, 1)+1
	for _, c := range candidates {
		if d := distance(typed, []rune(account.FoldUsername(c))); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to get from a to b.
func distance(a, b []rune) int {
	var before []int
	previous, current := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range a {
		current[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			current[j+1] = min(previous[j+1]+1, current[j]+1, previous[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				current[j+1] = min(current[j+1], before[j-1]+1)
			}
		}
		before, previous, current = previous, current, make([]int, len(b)+1)
	}
	return previous[len(b)]
}
