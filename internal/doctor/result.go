package doctor

// Verdict is what came of a check.
type Verdict string

// The verdicts.
const (
	OK Verdict = "ok"
	// Note leaves something to the operator to know.
	Note Verdict = "note"
	// Finding has to be mended.
	Finding Verdict = "finding"
)

// Result is one line of an examination.
type Result struct {
	// Check is its name, which stays the same over versions.
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Site is the origin that was asked; empty for the configuration.
	Site string `json:"site,omitempty"`
	// Text is what was seen, Mend what to do about it.
	Text string `json:"text"`
	Mend string `json:"mend,omitempty"`
}
