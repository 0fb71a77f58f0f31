package totp

import (
	"net/url"
	"strings"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
)

// uri is what authenticator apps read from the picture:
//
//	otpauth://totp/ISSUER:ACCOUNT?secret=…&issuer=ISSUER
//
// Apps take SHA-1, six digits and 30 seconds where nothing else is said, and
// each character less makes the picture easier to scan.
//
// Everything but letters, digits and "-._~" is percent-encoded, in the query
// too, for many apps show a "+" as it is.
func uri(issuer, owner string, seed account.Secret) string {
	var b strings.Builder
	b.WriteString("otpauth://totp/" + escape(issuer) + ":" + escape(owner))
	b.WriteString("?secret=" + base32Text.EncodeToString(seed.Reveal()))
	b.WriteString("&issuer=" + escape(issuer))
	return b.String()
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// issuer is what the app shows above the code: the site's name, or its host
// where it has none. A colon ends it for the apps, so it has none.
func issuer(scope factors.Scope) string {
	for _, name := range []string{scope.SiteName, scope.RelyingParty} {
		if name = factors.Printable(strings.ReplaceAll(name, ":", " ")); name != "" {
			return name
		}
	}
	return "Stepgate"
}

// label is whose code it is.
func label(a account.Account) string {
	if name := factors.Printable(a.Username); name != "" {
		return name
	}
	return string(a.ID)
}
