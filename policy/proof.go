package policy

import "time"

// Proof is one successful verification in a session.
type Proof struct {
	Factor Factor `json:"factor"`
	// Credential is the account.CredentialID that was used; empty for
	// `password`, which has no credential of its own.
	Credential string `json:"credential,omitempty"`
	// At is when it was verified, UTC. It ages from here.
	At time.Time `json:"at"`
	// UserVerified is set for a webauthn proof whose authenticator verified
	// the person. Without it the proof counts as a second proof only, never
	// as the sign-in: a session keeps the verified proof that began it
	// beside a later one of the same credential.
	UserVerified bool `json:"uv,omitempty"`
	// BoundBy and CountsFrom come from the credential (account.Credential):
	// before CountsFrom the proof counts only for levels that BoundBy's
	// factors would meet. Zero CountsFrom: counts at once.
	BoundBy    []Factor  `json:"bound_by,omitempty"`
	CountsFrom time.Time `json:"counts_from,omitzero"`
	// Once names the one request that this proof may open, for levels with
	// `once`; such a proof meets no other level. Empty for ordinary proofs.
	Once string `json:"once,omitempty"`
	// Site is the origin at which it was made, where that is another one than
	// the session's. It decides nothing.
	Site string `json:"site,omitempty"`
	// Form is a mark of the very form that the proof was made with, by which
	// the ceremonies know it when a browser sends it again because the answer
	// was lost. It decides nothing.
	Form string `json:"form,omitempty"`
}
