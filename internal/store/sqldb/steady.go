package sqldb

import (
	"strings"
	"sync"
)

// steady spells a query so that SQLite prepares it once. Where a parameter is
// compared for equality, or is a pattern or a limit, it may plan by the value,
// and marks the statement. The driver forgets all values between two uses of
// one, and so has what is marked prepared anew at each use: for reading a
// session that took five times as long as the reading. What stands behind a
// unary plus, which is no operation there, is not looked at
// (sqlite3ExprIsInteger, sqlite3VdbeReprepareOnBind; SQLite 3.54).
func steady(query string) string {
	if known, ok := steadied.Load(query); ok {
		return known.(string)
	}
	spelt := unsteady.Replace(query)
	if len(query) <= longestSteadied {
		steadied.Store(query, spelt)
	}
	return spelt
}

// longestSteadied, in bytes, leaves those out that name many values: there is
// one for each number of them.
const longestSteadied = 2 << 10

var (
	// steadied has queries by their texts.
	steadied sync.Map
	unsteady = strings.NewReplacer("= $", "= +$", "LIMIT $", "LIMIT +$", "LIKE $", "LIKE +$")
)
