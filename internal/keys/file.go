package keys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// lostWithout is what every message about the file says.
const lostWithout = "without it everyone is signed out, the authenticator apps, numbers and requests " +
	"sealed in the store cannot be read again, and the audit trail cannot be verified"

const fileHead = `# Stepgate key file. Keep it secret (mode 0600) and keep a copy of it, apart
# from the copies of the store. Without it everyone is signed out, what the
# store keeps sealed (authenticator apps, numbers, interrupted requests) cannot
# be read again, and the audit trail cannot be verified.
# One key a line, oldest first: v1 ID CREATED SECRET [primary]
`

const lineVersion = "v1"

// lastingWord begins the line of what outlives the oldest key.
const lastingWord = "lasting"

// formatFile writes the keys in the form that parseFile reads.
func formatFile(s *keySet) []byte {
	var b bytes.Buffer
	b.WriteString(fileHead)
	if !bytes.Equal(s.lasting.prk, s.keys[0].derive(lastingWord, "", secretBytes)) {
		fmt.Fprintf(&b, "%s %s\n", lastingWord, base64.StdEncoding.EncodeToString(s.lasting.prk))
	}
	for i, k := range s.keys {
		fmt.Fprintf(&b, "%s %s %s %s", lineVersion, k.name(), k.created.Format(time.RFC3339), base64.StdEncoding.EncodeToString(k.secret))
		if i == s.primary {
			b.WriteString(" primary")
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// parseFile reads the text of a key file. Its errors name the line and never
// quote it.
func parseFile(text []byte) (*keySet, error) {
	var keys []*key
	var lasting []byte
	primary := -1
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, is := strings.CutPrefix(line, lastingWord+" "); is {
			again := lasting != nil
			var err error
			if lasting, err = base64.StdEncoding.Strict().DecodeString(rest); err != nil || len(lasting) != secretBytes || again {
				return nil, fmt.Errorf("line %d: what lasts over keys stands in the file once, as 32 bytes of base64", number)
			}
			continue
		}
		k, marked, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		for _, other := range keys {
			if other.id == k.id {
				return nil, fmt.Errorf("line %d: the key stands in the file twice", number)
			}
		}
		if marked && primary >= 0 {
			return nil, fmt.Errorf("line %d: a second key is marked primary", number)
		}
		if marked {
			primary = len(keys)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it")
	}
	if primary < 0 {
		primary = len(keys) - 1
	}
	return newKeySet(keys, primary, lasting)
}

func parseLine(line string) (k *key, primary bool, err error) {
	fields := strings.Fields(line)
	if len(fields) == 5 && fields[4] == "primary" {
		primary, fields = true, fields[:4]
	}
	if len(fields) != 4 || fields[0] != lineVersion {
		return nil, false, errors.New("not a key line (v1 ID CREATED SECRET [primary])")
	}
	created, err := time.Parse(time.RFC3339, fields[2])
	if err != nil {
		return nil, false, errors.New("the time of creation is not RFC 3339")
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(fields[3])
	if err != nil {
		return nil, false, errors.New("the secret is not base64")
	}
	if len(secret) < secretBytes {
		return nil, false, fmt.Errorf("the secret is too short: %d bits, at least 256 are needed", 8*len(secret))
	}
	if k, err = newKey(secret, created); err != nil {
		return nil, false, err
	}
	if k.name() != fields[1] {
		return nil, false, errors.New("the secret does not belong to the ID: the line was altered")
	}
	return k, primary, nil
}
