package signin

import "slices"

// Trust says which of a source's words about how somebody signed in there
// (RFC 8176, an authentication context) count as which factor. Nil trusts no
// word.
type Trust map[string]string

// StandardTrust are the words whose meaning is plain: a one-time password, a
// text message, a proof that cannot be phished. What only says that there was
// more than one factor is for the operator to translate.
func StandardTrust() Trust {
	return Trust{
		"otp": "totp", "sms": "sms", "phr": "webauthn", "phrh": "webauthn", "fido": "webauthn",
		"urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken": "totp",
	}
}

// Proved are the factors that words stand for, each once, sorted.
func (t Trust) Proved(words ...string) []string {
	var proved []string
	for _, word := range words {
		if factor := t[word]; factor != "" {
			proved = append(proved, factor)
		}
	}
	slices.Sort(proved)
	return slices.Compact(proved)
}
