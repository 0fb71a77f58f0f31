package account

import "slices"

// Role says what an account may do to other accounts. The zero value is not
// a role; New accounts have RoleUser.
type Role string

// The roles, from the contract's section 9.
const (
	RoleUser     Role = "user"
	RoleHelpdesk Role = "helpdesk"
	RoleAdmin    Role = "admin"
	RoleOwner    Role = "owner"
	RoleAuditor  Role = "auditor"
)

// Roles lists all of them in the order in which help shows them.
func Roles() []Role {
	return []Role{RoleUser, RoleHelpdesk, RoleAdmin, RoleOwner, RoleAuditor}
}

// Valid tells whether r is one of the roles.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// rank orders roles for "nobody acts on a higher role". An auditor reads
// what an owner reads, so nobody below an owner may act on one.
func (r Role) rank() int {
	switch r {
	case RoleHelpdesk:
		return 1
	case RoleAdmin:
		return 2
	case RoleOwner, RoleAuditor:
		return 3
	default:
		return 0
	}
}

// Above tells whether r is higher than other, so that other may not act on
// an account with r.
func (r Role) Above(other Role) bool { return r.rank() > other.rank() }
