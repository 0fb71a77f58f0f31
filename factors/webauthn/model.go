package webauthn

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Model is an AAGUID: the identifier of a model of authenticator. The zero
// value is that of authenticators that do not say.
type Model [16]byte

// ParseModel reads an AAGUID as makers print it:
// 2fc0579f-8113-47ea-b116-bb5a8db9202a.
func ParseModel(text string) (Model, error) {
	var m Model
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != len(m) {
		return m, fmt.Errorf("webauthn: %q is no AAGUID, such as 2fc0579f-8113-47ea-b116-bb5a8db9202a", text)
	}
	if m = Model(raw); m == (Model{}) {
		return m, fmt.Errorf("webauthn: the AAGUID of zeros names no model")
	}
	return m, nil
}
