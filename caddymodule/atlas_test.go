package caddymodule

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"net/netip"
	"os"
	"slices"
	"testing"
)

// spot is what an atlas says of a network.
type spot struct {
	country             string
	latitude, longitude float64
	system              uint32
	anonymous           bool
}

// atlasOf writes a MaxMind database (format 2.0) of a few networks. Those of
// IPv4 are in its tree of IPv6 below ::/96, as in those that are sold.
func atlasOf(t *testing.T, file string, networks map[string]spot) {
	t.Helper()
	text := func(s string) []byte { return append([]byte{0x40 | byte(len(s))}, s...) }
	dict := func(pairs ...[]byte) []byte {
		return append([]byte{0xe0 | byte(len(pairs)/2)}, bytes.Join(pairs, nil)...)
	}
	number := func(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{6<<5 | 4}, n) }
	small := func(n uint16) []byte { return binary.BigEndian.AppendUint16([]byte{5<<5 | 2}, n) }
	double := func(f float64) []byte { return binary.BigEndian.AppendUint64([]byte{3<<5 | 8}, math.Float64bits(f)) }
	truth := func(b bool) []byte {
		if b {
			return []byte{1, 7}
		}
		return []byte{0, 7}
	}
	type node struct{ below [2]int } // 0: nothing; above: a node; below: a record
	nodes := []node{{}}
	var records [][]byte
	for _, network := range slices.Sorted(maps.Keys(networks)) {
		at := networks[network]
		prefix := netip.MustParsePrefix(network)
		records = append(records, dict(
			text("country"), dict(text("iso_code"), text(at.country)),
			text("location"), dict(text("latitude"), double(at.latitude), text("longitude"), double(at.longitude), text("accuracy_radius"), small(20)),
			text("traits"), dict(text("autonomous_system_number"), number(at.system), text("is_anonymous"), truth(at.anonymous)),
		))
		bits, long, here := prefix.Addr().As16(), prefix.Bits(), 0
		if v4 := prefix.Addr(); v4.Is4() {
			four := v4.As4()
			bits, long = [16]byte{12: four[0], four[1], four[2], four[3]}, 96+long
		}
		for i := range long {
			side := bits[i/8] >> (7 - i%8) & 1
			if i == long-1 {
				nodes[here].below[side] = -len(records)
				break
			}
			if nodes[here].below[side] == 0 {
				nodes = append(nodes, node{})
				nodes[here].below[side] = len(nodes) - 1
			}
			here = nodes[here].below[side]
		}
	}
	var b bytes.Buffer
	for _, n := range nodes {
		for _, below := range n.below {
			value := len(nodes)
			switch {
			case below > 0:
				value = below
			case below < 0:
				value += 16 + len(bytes.Join(records[:-below-1], nil))
			}
			b.Write([]byte{byte(value >> 16), byte(value >> 8), byte(value)})
		}
	}
	b.Write(make([]byte, 16))
	b.Write(bytes.Join(records, nil))
	b.WriteString("\xab\xcd\xefMaxMind.com")
	b.Write(dict(
		text("node_count"), number(uint32(len(nodes))), text("record_size"), small(24), text("ip_version"), small(6),
		text("binary_format_major_version"), small(2), text("binary_format_minor_version"), small(0),
		text("database_type"), text("Test-City"), text("build_epoch"), append([]byte{4, 2}, 0, 0, 0, 1),
		text("languages"), []byte{0, 4}, text("description"), dict(),
	))
	next := file + ".next"
	if err := os.WriteFile(next, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
}
