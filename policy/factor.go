package policy

import "slices"

// Factor is a kind of proof. Its text is the word of the Caddyfile, of the
// store and of page paths.
type Factor string

// The factors, from the contract's section 1.
const (
	Password          Factor = "password" // whatever the sign-in source checked
	TOTP              Factor = "totp"
	WebAuthn          Factor = "webauthn"
	SMS               Factor = "sms"
	Email             Factor = "email"
	BackupCode        Factor = "backup_code"
	SecurityQuestions Factor = "security_questions"
	PIN               Factor = "pin"
	DevicePIN         Factor = "device_pin"
	Approval          Factor = "approval"
	Token             Factor = "token" // a program's
	TemporaryCode     Factor = "temporary_code"
)

// nature is what everybody may ask about a factor.
type nature struct {
	factor     Factor
	possession bool
	knowledge  bool
	fallback   bool
	single     bool
	// mfa is its place in the built-in level, 0 for none (contract, section
	// 3).
	mfa int
	// references are those of a proof by it (RFC 8176 §2); a word of our own
	// where the registry has none.
	references []string
}

// natures are all factors, strongest first.
var natures = []nature{
	{factor: WebAuthn, possession: true, mfa: 2, references: []string{"hwk", "pop"}},
	{factor: TOTP, possession: true, mfa: 1, references: []string{"otp"}},
	{factor: DevicePIN, possession: true, single: true, mfa: 4, references: []string{"swk", "pin"}},
	{factor: Approval, possession: true, mfa: 5, references: []string{"mca", "pop"}},
	{factor: SMS, possession: true, mfa: 3, references: []string{"sms"}},
	{factor: Email, possession: true, references: []string{"email"}},
	{factor: BackupCode, fallback: true, single: true, mfa: 6, references: []string{"backup_code"}},
	{factor: TemporaryCode, fallback: true, single: true, mfa: 7, references: []string{"temporary_code"}},
	{factor: SecurityQuestions, knowledge: true, single: true, references: []string{"kba"}},
	{factor: PIN, knowledge: true, single: true, references: []string{"pin"}},
	{factor: Token, single: true, references: []string{"token"}},
	{factor: Password, knowledge: true, single: true, references: []string{"pwd"}},
}

func (f Factor) nature() *nature {
	for i := range natures {
		if natures[i].factor == f {
			return &natures[i]
		}
	}
	return new(nature)
}

// Factors lists all of them, strongest first: the order in which a page
// offers what the person has no preference about.
func Factors() []Factor {
	all := make([]Factor, len(natures))
	for i, n := range natures {
		all[i] = n.factor
	}
	return all
}

// Known tells whether f is one of the factors.
func (f Factor) Known() bool { return f.nature().factor != "" }

// Possession tells whether f proves that the person holds something: what
// "a second factor" means. Codes from a list and knowledge do not.
func (f Factor) Possession() bool { return f.nature().possession }

// Knowledge tells whether f proves that the person knows something, and
// nothing else.
func (f Factor) Knowledge() bool { return f.nature().knowledge }

// Fallback tells whether f is for the day on which nothing else is at hand: a
// page offers it, and asks for none by itself.
func (f Factor) Fallback() bool { return f.nature().fallback }

// Single tells whether a person has one credential of f at most, so that no
// level may ask for two of them.
func (f Factor) Single() bool { return f.nature().single }

// References are the authentication method references of a proof by f (RFC
// 8176 §2). Ours stand where the registry has no word.
func (f Factor) References() []string { return slices.Clone(f.nature().references) }

// builtInMFA are the factors of the built-in level `mfa`, in its order.
func builtInMFA() []Factor {
	var some []nature
	for _, n := range natures {
		if n.mfa > 0 {
			some = append(some, n)
		}
	}
	slices.SortFunc(some, func(a, b nature) int { return a.mfa - b.mfa })
	all := make([]Factor, len(some))
	for i, n := range some {
		all[i] = n.factor
	}
	return all
}
