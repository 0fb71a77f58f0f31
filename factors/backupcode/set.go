package backupcode

import (
	"crypto/rand"
	"encoding/json"
	"errors"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
)

const (
	// size is how many codes a sheet has, groups how long each is: 80 bits.
	size, groups = 10, 4
	saltBytes    = 16
	macPurpose   = "backup code"
)

var errSet = errors.New("backupcode: unreadable set of codes")

// set is what is kept of a sheet: the Secret of its credential, as JSON.
type set struct {
	Salt []byte `json:"salt"`
	// Left and Spent are the hashes of the codes.
	Left  [][]byte `json:"left"`
	Spent [][]byte `json:"spent,omitempty"`
}

// newSet makes a sheet, and names the key that it stands on.
func newSet(k Keys, owner account.ID) (s set, codes []string, key string) {
	key, mac := k.MACMaker(macPurpose)
	s = set{Salt: make([]byte, saltBytes)}
	rand.Read(s.Salt) // never fails: the program ends instead
	codes = make([]string, size)
	for i := range codes {
		codes[i] = factors.NewPaperCode(groups)
		s.Left = append(s.Left, mac(s.Salt, []byte(owner), []byte(codes[i])))
	}
	return s, codes, key
}

func setOf(secret account.Secret) (set, error) {
	var s set
	if json.Unmarshal(secret.Reveal(), &s) != nil || len(s.Salt) != saltBytes {
		return set{}, errSet
	}
	return s, nil
}

func (s set) secret() (account.Secret, error) {
	text, err := json.Marshal(s)
	return account.Secret(text), err
}

// find returns the index of a code among hashes, or -1. All are compared.
func (s set) find(k Keys, hashes [][]byte, owner account.ID, code string) int {
	at := -1
	for i, hash := range hashes {
		if k.VerifyMAC(macPurpose, hash, s.Salt, []byte(owner), []byte(code)) {
			at = i
		}
	}
	return at
}

// spend moves a code from those left to those spent. ErrReplayed says that it
// was spent before, ErrWrongAnswer that it is none of these.
func (s *set) spend(k Keys, owner account.ID, code string) error {
	i := s.find(k, s.Left, owner, code)
	if i < 0 {
		if s.find(k, s.Spent, owner, code) >= 0 {
			return factors.ErrReplayed
		}
		return factors.ErrWrongAnswer
	}
	s.Spent = append(s.Spent, s.Left[i])
	s.Left = append(s.Left[:i:i], s.Left[i+1:]...)
	return nil
}
