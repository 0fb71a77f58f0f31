// Package selfservice is the pages that people use on their own account.
//
//	/account                      all of it on one page
//	/account/add                  ways to confirm who they are, to choose from
//	/account/rename|default|remove?credential=ID
//	/account/two-factor           two-factor sign-in on or off
//	/account/password             another password
//	/account/email, /mobile       another address or number, proved by a code
//	/account/sessions             POST: ends one session, or all others
//	/account/browsers             POST: forgets a browser in which less is asked
//	/account/activity             what has happened, in plain words
//	/account/not-me               "This was not me": ends sessions, leads to help
//	/account/tokens               tokens for programs: list, make, revoke
//
// Enrolments, new backup codes, another PIN and other security questions are
// ceremonies of package challenge, which these pages lead to by address. What
// changes a credential, an address or a password wants a proof made for it
// alone (ceremony.Authority). What is done is done by people.Self.
package selfservice
