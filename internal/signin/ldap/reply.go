package ldap

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/stepgate/stepgate/internal/signin"
)

// judge tells what a server's answer to a bind means: nil for the right
// password, signin.ErrRefused or a *signin.Refusal for a refusal. Only what
// directories say after a right password is told apart; a locked account is
// reported to wrong passwords as well, and so stays a plain refusal.
func judge(result *ldap.SimpleBindResult, err error) error {
	policy := policyError(result)
	switch {
	case err == nil && policy == ldap.BeheraChangeAfterReset:
		return &signin.Refusal{Reason: signin.PasswordMustChange}
	case err == nil:
		return nil
	case ldap.IsErrorAnyOf(err, refusals...):
		return signin.ErrRefused
	case !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials):
		return fmt.Errorf("ldap: bind: %w", err)
	case policy == ldap.BeheraPasswordExpired:
		return &signin.Refusal{Reason: signin.PasswordExpired}
	}
	if reason, ok := activeDirectory[subCode(err)]; ok {
		return &signin.Refusal{Reason: reason}
	}
	return signin.ErrRefused
}

// refusals are the codes, beside invalidCredentials, by which servers say that
// this entry may not be bound as: no such entry, no password, too many tries.
var refusals = []uint16{
	ldap.LDAPResultNoSuchObject, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultUnwillingToPerform,
	ldap.LDAPResultConstraintViolation, ldap.LDAPResultInvalidDNSyntax,
}

// policyError reads the answer's password policy control
// (draft-behera-ldap-password-policy-11 §6.2); -1 where it has none.
func policyError(result *ldap.SimpleBindResult) int8 {
	if result == nil {
		return -1
	}
	if control, ok := ldap.FindControl(result.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy); ok {
		return control.Error
	}
	return -1
}

// activeDirectory are the sub-codes of error 49 that Active Directory gives
// after a right password (system error codes, hexadecimal: 1330, 1331, 1793,
// 1907 and the two of hours and places). 0x775, locked, comes after wrong ones
// too.
var activeDirectory = map[int64]signin.Reason{
	0x532: signin.PasswordExpired,
	0x773: signin.PasswordMustChange,
	0x533: signin.AccountDisabled,
	0x701: signin.AccountDisabled,
	0x530: signin.NotNow,
	0x531: signin.NotNow,
}

// subCode reads "… data 532, v4563" of Active Directory's diagnostic message;
// 0 where there is none.
func subCode(err error) int64 {
	_, rest, found := strings.Cut(err.Error(), ", data ")
	if !found {
		return 0
	}
	digits, _, _ := strings.Cut(rest, ",")
	code, err := strconv.ParseInt(strings.TrimSpace(digits), 16, 32)
	if err != nil {
		return 0
	}
	return code
}

// stateAttributes tell of an entry whether it may still be used.
var stateAttributes = []string{"userAccountControl", "accountExpires", "pwdAccountLockedTime", "nsAccountLock"}

const (
	accountDisable = 0x2             // userAccountControl, ADS_UF_ACCOUNTDISABLE
	lockedForGood  = "000001010000Z" // pwdAccountLockedTime, draft-behera §5.3.3
)

// disabled tells whether an entry says of itself that nobody may use it.
func disabled(e *ldap.Entry, now time.Time) bool {
	control, err := strconv.ParseInt(e.GetEqualFoldAttributeValue("userAccountControl"), 10, 64)
	if err == nil && control&accountDisable != 0 {
		return true
	}
	if e.GetEqualFoldAttributeValue("pwdAccountLockedTime") == lockedForGood || strings.EqualFold(e.GetEqualFoldAttributeValue("nsAccountLock"), "true") {
		return true
	}
	expires, err := strconv.ParseInt(e.GetEqualFoldAttributeValue("accountExpires"), 10, 64)
	return err == nil && expires > 0 && expires < never && !fileTime(expires).After(now)
}

// never is how Active Directory writes "does not expire", beside 0.
const never = 1<<63 - 1

// fileTime reads 100-nanosecond steps since 1601.
func fileTime(steps int64) time.Time {
	const unix = 116444736000000000
	return time.Unix((steps-unix)/1e7, (steps-unix)%1e7*100).UTC()
}
