package ldap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

// ChangesPasswords implements signin.PasswordChanger.
func (s *Source) ChangesPasswords() bool { return s.config.ChangePassword }

// ChangePassword implements signin.PasswordChanger. The present password is
// compared first, by a bind as everywhere, so that what is not told to somebody
// who does not know it is not told here either.
func (s *Source) ChangePassword(ctx context.Context, who signin.Person, present, chosen account.Secret) error {
	if !usable(present) || !usable(chosen) {
		return signin.ErrRefused
	}
	entry, err := s.person(ctx, who)
	if err != nil {
		return err
	}
	if entry == nil {
		return s.compareNobody(ctx, present)
	}
	err = s.compare(ctx, entry.DN, present)
	told := (*signin.Refusal)(nil)
	expired := errors.As(err, &told) && told.Reason == signin.PasswordExpired
	if err != nil && !expired && (told == nil || told.Reason != signin.PasswordMustChange) {
		return err
	}
	switch {
	case len(entry.GetEqualFoldRawAttributeValue("objectGUID")) > 0:
		err = s.searchs.do(ctx, func(conn *ldap.Conn) error { return replaceUnicodePwd(conn, entry.DN, present, chosen) })
	case expired:
		err = s.searchs.do(ctx, func(conn *ldap.Conn) error { return modifyPassword(conn, entry.DN, present, chosen) })
	default:
		err = s.binds.do(ctx, func(conn *ldap.Conn) error {
			if err := conn.Bind(entry.DN, string(present.Reveal())); err != nil {
				return err
			}
			return modifyPassword(conn, "", present, chosen)
		})
	}
	return judgeChange(err)
}

// modifyPassword asks a server to change a password in its own way (RFC 3062
// §2). "" is whoever the connection is bound as.
func modifyPassword(conn *ldap.Conn, dn string, present, chosen account.Secret) error {
	_, err := conn.PasswordModify(ldap.NewPasswordModifyRequest(dn, string(present.Reveal()), string(chosen.Reveal())))
	return err
}

// replaceUnicodePwd changes a password as Active Directory has it (MS-ADTS
// §3.1.1.3.1.5.2): the present value deleted and the new one added, in one
// request. It compares the present one itself, so that the reader needs no
// right to reset passwords, and it takes the request on an encrypted connection
// only.
func replaceUnicodePwd(conn *ldap.Conn, dn string, present, chosen account.Secret) error {
	change := ldap.NewModifyRequest(dn, nil)
	change.Delete("unicodePwd", []string{unicodePwd(present)})
	change.Add("unicodePwd", []string{unicodePwd(chosen)})
	return conn.Modify(change)
}

// unicodePwd is a password between quotation marks in UTF-16, least significant
// byte first.
func unicodePwd(password account.Secret) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(`"` + string(password.Reveal()) + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b)
}

// invalidPassword is how Active Directory says that the value to delete is not
// the present one (system error code 86).
const invalidPassword = "00000056:"

// judgeChange tells what a server's answer to a change means. By then the
// present password has been compared.
func judgeChange(err error) error {
	switch {
	case err == nil:
		return nil
	case ldap.IsErrorWithCode(err, ldap.LDAPResultConstraintViolation) && strings.Contains(err.Error(), invalidPassword),
		ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials):
		return signin.ErrRefused
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultConstraintViolation, ldap.LDAPResultUnwillingToPerform):
		return fmt.Errorf("%w: ldap: %w", signin.ErrUnsuitable, err)
	default:
		return fmt.Errorf("ldap: change of a password: %w", err)
	}
}
