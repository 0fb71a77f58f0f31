package totp

import (
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/stepgate/stepgate/internal/account"
)

const (
	digits     = 6
	stepLength = 30 * time.Second
	// window is how many steps before and after the present one count
	// (RFC 6238 §5.2 recommends at most one for the delay).
	window = 1
	// seedBytes is the length of new seeds (RFC 4226 §4 R6: 160 bits);
	// leastSeedBytes of those that are believed at all.
	seedBytes      = 20
	leastSeedBytes = 10
)

var errShortSeed = errors.New("totp: seed missing or too short")

var base32Text = base32.StdEncoding.WithPadding(base32.NoPadding)

// stepAt is the number of whole steps since 1970 (RFC 6238 §4.2).
func stepAt(t time.Time) int64 { return t.Unix() / int64(stepLength/time.Second) }

// codeAt is the code of a step.
func codeAt(seed account.Secret, step int64) (string, error) {
	if len(seed) < leastSeedBytes {
		return "", errShortSeed
	}
	return hotp.GenerateCodeCustom(base32Text.EncodeToString(seed.Reveal()), uint64(step), hotp.ValidateOpts{
		Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
}

// match finds the step within the window that code belongs to. All steps are
// computed whatever matches. Should two match, the later counts: using it up
// uses up the earlier too, so the same digits are not good for both.
func match(seed account.Secret, code string, now time.Time) (step int64, matched bool, err error) {
	present, found := stepAt(now), 0
	offset := 0
	for d := -window; d <= window; d++ {
		want, err := codeAt(seed, present+int64(d))
		if err != nil {
			return 0, false, err
		}
		same := subtle.ConstantTimeCompare([]byte(want), []byte(code))
		offset = subtle.ConstantTimeSelect(same, d, offset)
		found |= same
	}
	return present + int64(offset), found == 1, nil
}
