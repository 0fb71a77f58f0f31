package policy

import (
	"slices"
	"testing"
)

// TestTheTableOfFactorsIsTheContracts: section 1 names them, and says which
// are a second factor; section 3 says which are in `mfa`.
func TestTheTableOfFactorsIsTheContracts(t *testing.T) {
	words := []Factor{
		"password", "totp", "webauthn", "sms", "email", "backup_code", "security_questions", "pin", "device_pin", "approval", "token", "temporary_code",
	}
	possession := []Factor{"totp", "webauthn", "sms", "email", "device_pin", "approval"}
	all := Factors()
	if len(all) != len(words) {
		t.Errorf("%d factors, want %d", len(all), len(words))
	}
	for _, f := range words {
		if !f.Known() || len(f.References()) == 0 {
			t.Errorf("%s: known %v, references %q", f, f.Known(), f.References())
		}
		if f.Possession() != slices.Contains(possession, f) {
			t.Errorf("%s is a possession factor: %v", f, f.Possession())
		}
		if f.Possession() && (f.Knowledge() || f.Fallback()) {
			t.Errorf("%s is knowledge or a code from a list, too", f)
		}
	}
	if f := Factor("frobnicate"); f.Known() || f.Possession() || len(f.References()) > 0 {
		t.Error("a word that is no factor is one")
	}
	want := []Factor{"totp", "webauthn", "sms", "device_pin", "approval", "backup_code", "temporary_code"}
	if got := builtInMFA(); !slices.Equal(got, want) {
		t.Errorf("mfa is %v, want %v", got, want)
	}
}
