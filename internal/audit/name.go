package audit

import (
	"maps"
	"slices"
)

// Name says what kind of thing happened. It is kept in records and never
// changes its meaning.
type Name string

// Names of the OWASP Logging Vocabulary.
const (
	LoginSuccess          Name = "authn_login_success"
	LoginSuccessAfterFail Name = "authn_login_successafterfail"
	LoginFail             Name = "authn_login_fail"
	LoginFailMax          Name = "authn_login_fail_max"
	PasswordChange        Name = "authn_password_change"
	ImpossibleTravel      Name = "authn_impossible_travel"
	TokenCreated          Name = "authn_token_created"
	TokenRevoked          Name = "authn_token_revoked"
	TokenReuse            Name = "authn_token_reuse"
	AccessDenied          Name = "authz_fail"
	AccessChange          Name = "authz_change"
	AdminAction           Name = "authz_admin"
	SessionExpired        Name = "session_expired"
	SessionLogout         Name = "session_logout"
	RateLimitExceeded     Name = "excess_rate_limit_exceeded"
	SequenceFail          Name = "sequence_fail"
	InputRefused          Name = "input_validation_fail"
	MaliciousCSRF         Name = "malicious_csrf"
	PermissionsChanged    Name = "privilege_permissions_changed"
	UserCreated           Name = "user_created"
	UserUpdated           Name = "user_updated"
	UserDeleted           Name = "user_deleted"
)

// Names of ours, in the same style.
const (
	ChallengeIssued     Name = "mfa_challenge_issued"
	ChallengePassed     Name = "mfa_challenge_passed"
	ChallengeFailed     Name = "mfa_challenge_failed"
	FactorEnrolled      Name = "factor_enrolled"
	FactorChanged       Name = "factor_changed"
	FactorRemoved       Name = "factor_removed"
	FactorReset         Name = "factor_reset"
	FactorDisabled      Name = "factor_disabled"
	StepUpRequired      Name = "stepup_required"
	ProofDropped        Name = "proof_dropped"
	PolicyDecision      Name = "policy_decision"
	RequestKept         Name = "request_kept"
	RequestContinued    Name = "request_continued"
	WeldRefused         Name = "weld_refused"
	SMSSent             Name = "sms_sent"
	SMSBlocked          Name = "sms_blocked"
	EmailSent           Name = "email_sent"
	EmailBlocked        Name = "email_blocked"
	RecoveryCompleted   Name = "recovery_completed"
	DeviceTrusted       Name = "device_trusted"
	RiskAssessed        Name = "risk_assessed"
	DeviceRevoked       Name = "device_revoked"
	OnBehalf            Name = "admin_on_behalf"
	UserInvited         Name = "user_invited"
	UserSuspended       Name = "user_suspended"
	UserResumed         Name = "user_resumed"
	NameConflict        Name = "name_conflict"
	NameConfirmed       Name = "name_confirmed"
	OrganisationCreated Name = "organisation_created"
	OrganisationUpdated Name = "organisation_updated"
	OrganisationDeleted Name = "organisation_deleted"
	KeyRotated          Name = "key_rotated"
	KeyRetired          Name = "key_retired"
	ConfigLoaded        Name = "config_loaded"
	AuditExported       Name = "audit_exported"
	AuditPruned         Name = "audit_pruned"
	CallerChecked       Name = "caller_checked"
	CallerFailed        Name = "caller_check_failed"
	ApprovalAsked       Name = "approval_asked"
	ApprovalGiven       Name = "approval_given"
	ApprovalRefused     Name = "approval_refused"
	RequestApproved     Name = "mfa_request_approved"
	RequestDenied       Name = "mfa_request_denied"
	EventsDropped       Name = "events_dropped"
	StoreRestored       Name = "store_restored"
	ActivityDisowned    Name = "activity_disowned"
)

// Severity is the `level` of the OWASP Logging Vocabulary.
type Severity string

// The severities, calmest first.
const (
	Info     Severity = "INFO"
	Warn     Severity = "WARN"
	Critical Severity = "CRITICAL"
)

// Kind describes an event name, for the documentation and for records.
type Kind struct {
	Name     Name
	Severity Severity
	// Text is one line: when the event is written.
	Text string
}

type description struct {
	severity Severity
	text     string
}

var kinds = map[Name]description{
	LoginSuccess:          {Info, "someone signed in"},
	LoginSuccessAfterFail: {Info, "someone signed in after failed tries"},
	LoginFail:             {Warn, "a sign-in failed; what was typed as the name is not kept, for it may be a password"},
	LoginFailMax:          {Warn, "failed sign-ins spent the budget of an account or address"},
	PasswordChange:        {Info, "a password was changed"},
	ImpossibleTravel:      {Critical, "an account appeared in two places too far apart for the time between"},
	TokenCreated:          {Info, "a link, a temporary code or a token for a program was made for someone"},
	TokenRevoked:          {Info, "a link, a temporary code or a token for a program was withdrawn"},
	TokenReuse:            {Critical, "a spent link, code or proof was presented again"},
	AccessDenied:          {Critical, "a request was denied by the policy, or a page of the gateway to somebody who may not use it"},
	AccessChange:          {Warn, "what an account or organisation must prove was changed"},
	AdminAction:           {Warn, "an administrator used an administrator's page or command"},
	SessionExpired:        {Info, "a session ended by time, or was ended by someone else's act; reason `source-refused`: all of a person's, whose directory does not have them any more"},
	SessionLogout:         {Info, "someone signed out, here or where they had signed in"},
	RateLimitExceeded:     {Warn, "a budget of requests, tries or messages was spent"},
	SequenceFail:          {Warn, "a step of a ceremony was asked for out of order, or a link, form or kept request that is over"},
	InputRefused:          {Warn, "a malformed request was refused, or one for a page that the gateway does not have"},
	MaliciousCSRF:         {Critical, "a form came from another site or without its token"},
	PermissionsChanged:    {Warn, "the role or groups of an account were changed"},
	UserCreated:           {Warn, "an account was made"},
	UserUpdated:           {Warn, "an account was changed"},
	UserDeleted:           {Warn, "an account was deleted"},

	ChallengeIssued:     {Info, "a challenge was shown or a code sent for it"},
	ChallengePassed:     {Info, "a challenge was answered rightly"},
	ChallengeFailed:     {Warn, "a challenge was answered wrongly"},
	FactorEnrolled:      {Warn, "a credential was enrolled"},
	FactorChanged:       {Info, "a credential was renamed, made the default or given another address"},
	FactorRemoved:       {Warn, "a credential was removed by its owner"},
	FactorReset:         {Warn, "an account's factors were reset"},
	FactorDisabled:      {Warn, "a credential was disabled by the gateway or by someone else"},
	StepUpRequired:      {Info, "a request needed more proof than its session had"},
	ProofDropped:        {Info, "someone gave up what they had confirmed beyond their sign-in"},
	PolicyDecision:      {Info, "what a policy decided, or would have decided where it only reports"},
	RequestKept:         {Info, "an interrupted request was kept"},
	RequestContinued:    {Info, "a kept request was sent on"},
	WeldRefused:         {Critical, "a cookie of the app was presented without the session it belongs to"},
	SMSSent:             {Info, "a text message was handed to the provider"},
	SMSBlocked:          {Warn, "a text message was not sent: budget, country or provider"},
	EmailSent:           {Info, "an e-mail was handed to the provider"},
	EmailBlocked:        {Warn, "an e-mail was not sent: budget or provider"},
	RecoveryCompleted:   {Warn, "an account was recovered"},
	DeviceTrusted:       {Warn, "a browser became a private device"},
	RiskAssessed:        {Warn, "the risk of a session rose in mid-session: its address or browser changed"},
	DeviceRevoked:       {Info, "a private device was revoked, or a known browser was forgotten"},
	OnBehalf:            {Warn, "an administrator acted for somebody"},
	UserInvited:         {Info, "an invitation was made"},
	UserSuspended:       {Warn, "an account was suspended"},
	UserResumed:         {Warn, "a suspended account was given back"},
	NameConflict:        {Critical, "a name of the app would have led to another account than before"},
	NameConfirmed:       {Warn, "an operator let a name of the app lead to another account"},
	OrganisationCreated: {Warn, "an organisation was made"},
	OrganisationUpdated: {Warn, "an organisation or its requirements were changed"},
	OrganisationDeleted: {Warn, "an organisation was deleted"},
	KeyRotated:          {Warn, "another key became primary"},
	KeyRetired:          {Warn, "older keys that nothing needed were retired"},
	ConfigLoaded:        {Info, "a configuration was put to use"},
	AuditExported:       {Info, "the audit trail was exported up to a checkpoint"},
	AuditPruned:         {Warn, "old records were deleted; the event holds the signed bridge to those that stay"},
	CallerChecked:       {Info, "a helpdesk has checked who is calling"},
	CallerFailed:        {Warn, "a caller read out a wrong code"},
	ApprovalAsked:       {Warn, "something that needs a second person was asked for"},
	ApprovalGiven:       {Warn, "a second person approved what was asked for"},
	ApprovalRefused:     {Warn, "a second person refused what was asked for"},
	RequestApproved:     {Info, "a request was approved on a phone; the browser that asked goes on with it"},
	RequestDenied:       {Critical, "somebody said on their phone that they had not asked: whoever asked may know their password"},
	StoreRestored:       {Critical, "the store was brought back from a backup, and what could have been spent since is void"},
	ActivityDisowned:    {Critical, "somebody said of something on their account that it was not them, and their other sessions ended"},
	EventsDropped:       {Warn, "events of strangers were counted instead of kept, to bound the trail"},
}

// Known tells whether n is one of the names. Nothing else is recorded.
func (n Name) Known() bool {
	_, ok := kinds[n]
	return ok
}

// Severity is how much attention the event wants; Warn for unknown names.
func (n Name) Severity() Severity {
	if d, ok := kinds[n]; ok {
		return d.severity
	}
	return Warn
}

// Kinds describes all names, in alphabetical order.
func Kinds() []Kind {
	list := make([]Kind, 0, len(kinds))
	for _, n := range slices.Sorted(maps.Keys(kinds)) {
		list = append(list, Kind{Name: n, Severity: kinds[n].severity, Text: kinds[n].text})
	}
	return list
}
