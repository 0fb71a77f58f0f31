// Package admin is the pages of administrators and of the helpdesk: they find
// people, and act on their accounts.
//
// It owns these pages, below /admin/ of the gateway's prefix, and who sees
// which button. What is done to people is done by package people, which holds
// whoever acts to their role whatever a page shows; what proves who they are is
// a ceremony's, behind the Door.
//
//	/admin/                    find (?q=), choose several
//	/admin/bulk                do one thing to several, with a report
//	/admin/accounts.csv        what was found, as a table
//	/admin/new                 a new account
//	/admin/import              a table of new accounts, tried first
//	/admin/person/ID           somebody's account
//	/admin/person/ID/edit      its record
//	/admin/person/ID/key       a security key for them
//	/admin/person/ID/token     a token for a program that acts as them
//	/admin/person/ID/caller    whether it is them who is calling
//	/admin/person/ID/ACT       see acts
//	/admin/organisations       organisations, and their rules
//	/admin/organisation?name=  one of them
//	/admin/approvals           what waits for a second administrator
//	/admin/trail, /admin/event the audit trail, and one event of it
//	/admin/messages            what went out this month, and what is left
//
// All of them need `mfa`. What resets or hands out needs a proof made for it
// alone (ceremony.Authority). Pages of operations ask for it when they are
// shown, so that nobody fills in a form in vain, and spend it when their form
// is posted.
package admin
