package policy

// Reasons of decisions, and of conditions: what logs, metrics and the audit
// trail say in one word.
const (
	ReasonPublic         = "public"           // allowed: every reading is public
	ReasonLevelsMet      = "levels-met"       // allowed
	ReasonSignInNeeded   = "sign-in-needed"   // step-up: nobody is signed in
	ReasonLevelMissing   = "level-missing"    // step-up: a rule or the default asks for it
	ReasonLevelRequired  = "level-required"   // step-up: the organisation or the account asks for it
	ReasonLevelRaised    = "level-raised"     // step-up: a raise asks for it
	ReasonPathDenied     = "path-denied"      // denied: a `deny` rule or default
	ReasonGroupMissing   = "group-missing"    // denied: signed in, and in none of the rule's groups
	ReasonRequireUnknown = "require-unknown"  // denied: a requirement names no built-in level
	ReasonNothingToJudge = "nothing-to-judge" // denied: the request came without a reading of its target
	ReasonDevice         = "device"
	ReasonRisk           = "risk"
	ReasonGroup          = "group"
	ReasonOrganisation   = "organisation"
	ReasonCountry        = "country"
	ReasonTime           = "time"
	ReasonFormField      = "form-field"
	ReasonMethod         = "method"
)
