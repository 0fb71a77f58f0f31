package throttle

import (
	"encoding/binary"
	"net/netip"
)

// MAC is a keyed hash whose key differs by purpose and stays over rotations
// (keys.Ring.LastingMAC): counters that got new names would begin anew. It
// gives at least 16 bytes.
type MAC func(purpose string, parts ...[]byte) []byte

const macPurpose = "throttle"

// NewKey makes the key of what parts name. Different lists of parts give
// different keys, however the parts are cut.
func NewKey(mac MAC, parts ...string) Key {
	var joined []byte
	for _, part := range parts {
		joined = binary.BigEndian.AppendUint32(joined, uint32(len(part)))
		joined = append(joined, part...)
	}
	return Key(mac(macPurpose, joined)[:len(Key{})])
}

// slot is the key of the i-th counter of a budget that needs several. Keys
// are random, so neighbours of two of them do not meet.
func (k Key) slot(i int) Key {
	tail := binary.BigEndian.Uint16(k[14:])
	binary.BigEndian.PutUint16(k[14:], tail^uint16(i))
	return k
}

// AddressKeyPart is the part of a key that stands for a client address: the
// address itself for IPv4 (mapped or not), the /64 for IPv6, for that is what
// one line is given. An invalid address is a part of its own, so that what
// comes from nowhere is counted together.
func AddressKeyPart(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	switch {
	case !addr.IsValid():
		return "unknown"
	case addr.Is4():
		return addr.String() + "/32"
	default:
		return netip.PrefixFrom(addr, 64).Masked().String()
	}
}
