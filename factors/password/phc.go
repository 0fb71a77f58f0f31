package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// ErrMalformed says that a stored hash is not one of ours. It is technical:
// the caller does not let the person in and tells the operator.
var ErrMalformed = errors.New("password: malformed hash")

// Cost is what one argon2id hash costs.
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultCost is 19 MiB, two passes, one lane: the first choice of the OWASP
// Password Storage Cheat Sheet for argon2id.
var DefaultCost = Cost{MemoryKiB: 19 * 1024, Passes: 2, Lanes: 1}

const (
	saltBytes = 16
	tagBytes  = 32
	phcPrefix = "$argon2id$v=19$"
)

// Bounds of what is read from a store, so that a damaged or planted hash
// cannot make the gateway take gigabytes.
const (
	maxMemoryKiB = 256 * 1024
	maxPasses    = 16
	maxLanes     = 16
)

func (c Cost) usable() bool {
	return c.Passes >= 1 && c.Passes <= maxPasses && c.Lanes >= 1 && c.Lanes <= maxLanes &&
		c.MemoryKiB >= 8*uint32(c.Lanes) && c.MemoryKiB <= maxMemoryKiB
}

// hashed is a PHC string taken apart.
type hashed struct {
	cost Cost
	salt []byte
	tag  []byte
}

var b64 = base64.RawStdEncoding.Strict()

func (h hashed) String() string {
	return fmt.Sprintf("%sm=%d,t=%d,p=%d$%s$%s", phcPrefix, h.cost.MemoryKiB, h.cost.Passes, h.cost.Lanes,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.tag))
}

// parse accepts exactly what String writes, with salts and tags of 16 to 64
// bytes.
func parse(phc string) (hashed, error) {
	rest, ours := strings.CutPrefix(phc, phcPrefix)
	fields := strings.Split(rest, "$")
	if !ours || len(fields) != 3 || len(phc) > 300 {
		return hashed{}, ErrMalformed
	}
	cost, err := parseCost(fields[0])
	if err != nil {
		return hashed{}, err
	}
	h := hashed{cost: cost}
	for i, into := range []*[]byte{&h.salt, &h.tag} {
		*into, err = b64.DecodeString(fields[i+1])
		if err != nil || len(*into) < 16 || len(*into) > 64 {
			return hashed{}, ErrMalformed
		}
	}
	if h.String() != phc {
		return hashed{}, ErrMalformed
	}
	return h, nil
}

func parseCost(text string) (Cost, error) {
	parameters := strings.Split(text, ",")
	if len(parameters) != 3 {
		return Cost{}, ErrMalformed
	}
	var numbers [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, named := strings.CutPrefix(parameters[i], name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !named || err != nil {
			return Cost{}, ErrMalformed
		}
		numbers[i] = n
	}
	if numbers[2] > maxLanes {
		return Cost{}, ErrMalformed
	}
	cost := Cost{MemoryKiB: uint32(numbers[0]), Passes: uint32(numbers[1]), Lanes: uint8(numbers[2])}
	if !cost.usable() {
		return Cost{}, ErrMalformed
	}
	return cost, nil
}

// derive is argon2id (RFC 9106) of a password in NFC.
func (c Cost) derive(password, salt []byte, length int) []byte {
	return argon2.IDKey(password, salt, c.Passes, c.MemoryKiB, c.Lanes, uint32(length))
}
