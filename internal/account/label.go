package account

import "strings"

// Name is what a thing of a person's is called by us, in each of our languages
// by BCP 47 tag; it has English always.
type Name map[string]string

// In is the name in a language: the language itself, its base, or English.
func (n Name) In(language string) string {
	base, _, _ := strings.Cut(language, "-")
	for _, lang := range []string{language, base} {
		if text, ok := n[lang]; ok {
			return text
		}
	}
	return n["en"]
}

// The names of credentials whose owners give them none. A blank and a number
// that tells several apart may follow; after PhoneEnding come the last digits of
// the number, after EmailTo the address as others may see it.
var (
	AuthenticatorApp  = Name{"en": "Authenticator app", "cy": "Ap dilysu"}
	SecurityKey       = Name{"en": "Security key", "cy": "Allwedd ddiogelwch"}
	Passkey           = Name{"en": "Passkey", "cy": "Allwedd fynediad"}
	PhoneEnding       = Name{"en": "Phone ending", "cy": "Ffôn sy'n gorffen gyda"}
	EmailTo           = Name{"en": "E-mail", "cy": "E-bost"}
	BackupCodes       = Name{"en": "Backup codes", "cy": "Codau wrth gefn"}
	SecurityQuestions = Name{"en": "Security questions", "cy": "Cwestiynau diogelwch"}
	TemporaryCode     = Name{"en": "Temporary code", "cy": "Cod dros dro"}
)

// usual is what credentials of a factor may be called by us, with what may
// follow the name.
var usual = map[string]struct {
	names  []Name
	follow func(c Credential, rest string) bool
}{
	"totp":               {[]Name{AuthenticatorApp}, numbered},
	"webauthn":           {[]Name{SecurityKey, Passkey}, numbered},
	"sms":                {[]Name{PhoneEnding}, ending},
	"email":              {[]Name{EmailTo}, addressed},
	"backup_code":        {[]Name{BackupCodes}, alone},
	"security_questions": {[]Name{SecurityQuestions}, alone},
	"temporary_code":     {[]Name{TemporaryCode}, alone},
}

func alone(_ Credential, rest string) bool { return rest == "" }

func numbered(_ Credential, rest string) bool { return strings.Trim(rest, "0123456789") == "" }

func ending(c Credential, rest string) bool { return rest != "" && strings.HasSuffix(c.Address, rest) }

func addressed(_ Credential, rest string) bool {
	return strings.Contains(rest, "@") && !strings.Contains(rest, " ")
}

// Called is what a page in a language (BCP 47) calls the credential: what its
// owner does, or by our name for it in that language. That it was given in the
// language of the page on which it was added.
func (c Credential) Called(language string) string {
	u := usual[c.Factor]
	for _, name := range u.names {
		for _, text := range name {
			rest, ours := strings.CutPrefix(c.Label, text)
			if follows, apart := strings.CutPrefix(rest, " "); ours && (apart || rest == "") && u.follow(c, follows) {
				return name.In(language) + rest
			}
		}
	}
	return c.Label
}
