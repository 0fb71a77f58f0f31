package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// cut is the JSON of handlers without the policies in it: they are most of
// what a large configuration is, and nothing of what stands around a gate.
type cut struct {
	// rest has a mark in the place of each policy.
	rest     []byte
	policies [][]byte
}

func cutMark(n int) []byte { return fmt.Appendf(nil, `{"policy_cut":%d}`, n) }

// cutPolicies takes them out, as far as they are written without blanks: what
// it leaves in only costs time.
func cutPolicies(raw json.RawMessage) cut {
	var c cut
	done := 0
	for at := 0; at < len(raw); at++ {
		if raw[at] != '"' {
			continue
		}
		end := quoted(raw, at)
		if word := string(raw[at:end]); word != `"policy"` && word != `"report_only"` || !bytes.HasPrefix(raw[end:], []byte(":{")) {
			at = end - 1
			continue
		}
		c.rest = append(append(c.rest, raw[done:end+1]...), cutMark(len(c.policies))...)
		done = object(raw, end+1)
		c.policies = append(c.policies, raw[end+1:done])
		at = done - 1
	}
	c.rest = append(c.rest, raw[done:]...)
	return c
}

// whole puts the policies back into what became of the rest.
func (c cut) whole(rest []byte) json.RawMessage {
	for n, policy := range c.policies {
		rest = bytes.Replace(rest, cutMark(n), policy, 1)
	}
	return rest
}

// object is the end of an object of valid JSON that begins at a place.
func object(raw []byte, at int) int {
	depth := 0
	for ; at < len(raw); at++ {
		switch raw[at] {
		case '"':
			at = quoted(raw, at) - 1
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return len(raw)
}

// quoted is the end of a string of valid JSON that begins at a place.
func quoted(raw []byte, at int) int {
	for at++; at < len(raw) && raw[at] != '"'; at++ {
		if raw[at] == '\\' {
			at++
		}
	}
	return min(at+1, len(raw))
}
