package account_test

import (
	"testing"

	"github.com/stepgate/stepgate/internal/account"
)

// TestOurNamesAreInThePagesLanguage has credentials that were added on a page
// in the one language and are shown on one in the other.
func TestOurNamesAreInThePagesLanguage(t *testing.T) {
	for _, c := range []struct{ factor, address, en, cy string }{
		{"totp", "", "Authenticator app", "Ap dilysu"},
		{"totp", "", "Authenticator app 2", "Ap dilysu 2"},
		{"webauthn", "", "Security key 1", "Allwedd ddiogelwch 1"},
		{"webauthn", "", "Passkey 12", "Allwedd fynediad 12"},
		{"sms", "+447700900605", "Phone ending 605", "Ffôn sy'n gorffen gyda 605"},
		{"email", "joe@example.gov", "E-mail j…@example.gov", "E-bost j…@example.gov"},
		{"backup_code", "", "Backup codes", "Codau wrth gefn"},
		{"security_questions", "", "Security questions", "Cwestiynau diogelwch"},
		{"temporary_code", "", "Temporary code", "Cod dros dro"},
		{"pin", "", "PIN", "PIN"},
	} {
		for _, label := range []string{c.en, c.cy} {
			own := account.Credential{Factor: c.factor, Label: label, Address: c.address}
			for language, want := range map[string]string{"en": c.en, "cy": c.cy, "cy-GB": c.cy, "de": c.en} {
				if got := own.Called(language); got != want {
					t.Errorf("%s %q in %s is %q, want %q", c.factor, label, language, got, want)
				}
			}
		}
	}
}

// TestWhatPeopleCallTheirThingsStays has names that begin as ours do.
func TestWhatPeopleCallTheirThingsStays(t *testing.T) {
	for factor, labels := range map[string][]string{
		"totp":        {"Authenticator app at work", "Authenticator apps", "Phone", ""},
		"webauthn":    {"Security key of Ann", "Security key 1a", "Authenticator app"},
		"sms":         {"Phone ending 606", "Phone ending", "Phone ending the year", "Backup codes"},
		"email":       {"E-mail at work", "E-mail of joe@example.gov"},
		"backup_code": {"Backup codes 2", "My backup codes"},
		"device_pin":  {"Firefox on Windows"},
		"token":       {"Temporary code"},
	} {
		for _, label := range labels {
			own := account.Credential{Factor: factor, Label: label, Address: "+447700900605"}
			if got := own.Called("cy"); got != label {
				t.Errorf("%s %q is called %q", factor, label, got)
			}
		}
	}
}
