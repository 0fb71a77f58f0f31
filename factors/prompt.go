package factors

import "github.com/stepgate/stepgate/policy"

// Shape says which page a prompt needs.
type Shape string

// The shapes. A factor that fits none of them is a reason to think again
// before a shape is added.
const (
	// ShapeCode asks for one code that the person reads somewhere.
	ShapeCode Shape = "code"
	// ShapeSecret shows a secret to be copied into an authenticator, and
	// asks for a code made with it.
	ShapeSecret Shape = "secret"
	// ShapeAddress asks for a number or an address before codes can be sent.
	ShapeAddress Shape = "address"
	// ShapeCeremony runs WebAuthn, or the soft token, in a script whose
	// result is posted by the page's form.
	ShapeCeremony Shape = "ceremony"
	// ShapeQuestions asks questions; at enrolment it offers a choice of them.
	ShapeQuestions Shape = "questions"
	// ShapePIN asks for a PIN, twice at enrolment.
	ShapePIN Shape = "pin"
	// ShapeApproval waits for an answer that comes from a phone.
	ShapeApproval Shape = "approval"
)

// Prompt is what a page shows. Texts are not in it: the page takes them from
// its catalogue by shape and factor.
type Prompt struct {
	Shape  Shape
	Factor policy.Factor
	// Label is the credential's label, where one is meant.
	Label string
	// Destination is the masked address a code went to ("ending 609").
	Destination string
	// Sent tells whether a code is on its way; false offers a send button.
	Sent bool
	// MayResend tells whether a resend button is shown; ResendAfterS is how
	// many seconds from now it will work. Lifetime is how long the code that
	// was sent holds, in minutes from when it was sent.
	MayResend    bool
	ResendAfterS int
	LifetimeMin  int
	// Digits is the length of the code that is expected, 0 for free text.
	Digits int
	// Secret and SecretURI are for ShapeSecret: base32 and otpauth URI. The
	// page draws the picture of the URI.
	Secret    string
	SecretURI string
	// Options is the JSON that the ceremony's script needs.
	Options []byte
	// Script is the name of the ceremony's script ("webauthn").
	Script string
	// Questions are the ones asked, by their catalogue keys; Choices the
	// ones offered at enrolment.
	Questions []string
	Choices   []string
	// Progress is how far ShapeApproval is, Number what the person compares or
	// types on the phone. Labels are the phones that are asked, and Unreached
	// those of them that cannot be told.
	Progress  Progress
	Number    string
	Labels    []string
	Unreached []string
	// Field is the name of the field of ShapeAddress: `mobile` or `email`.
	Field string
	// Prefill is a known number or address for ShapeAddress.
	Prefill string
}
