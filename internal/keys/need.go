package keys

import "time"

// What a store keeps that needs a key.
const (
	// NeedRows are rows with a sealed column. Those that last are sealed again
	// after a rotation, the others go by themselves within days.
	NeedRows = "sealed rows"
	// NeedAnswers are PINs and answers to security questions: each is kept anew
	// when the person gives it again.
	NeedAnswers = "PINs and answers"
	// NeedBackupCodes are sheets of codes, until new ones are made.
	NeedBackupCodes = "backup codes"
	// NeedTrail are records of the audit trail, until they are pruned.
	NeedTrail = "audit trail"
	// NeedBrowsers are cookies, and what else is sealed in browsers, until the
	// last of it is over.
	NeedBrowsers = "browsers"
)

// Need is something that a key cannot be retired for.
type Need struct {
	// What is one of the words above.
	What string
	// Key is the ID of the key, "" for one that was not written down: any of
	// the ring.
	Key string
	// Count is how many there are, 0 where that is not counted.
	Count int64
}

// Known is what a store knows of a key of which it keeps the check.
type Known struct {
	Check string
	// UsedAt is when some node last had it as its primary key, to the quarter
	// of an hour.
	UsedAt time.Time
	// RetiredAt is zero for a key that has not been retired.
	RetiredAt time.Time
}

// ID is that of the key.
func (k Known) ID() string { return k.Check[:min(len(k.Check), 2*idBytes)] }
