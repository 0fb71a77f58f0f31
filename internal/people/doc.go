// Package people is what may be done to accounts and organisations: add,
// edit, suspend, resume, delete, set a password, reset factors, import. Pages
// and commands call it, and nobody goes round it, so what an administrator
// can do by page and by command is the same and is checked in one place.
//
// It owns the rights of the roles, the rules of what a person's record may
// say, and the texts that tell an operator what is wrong and how to mend it.
// Each verb is one transaction of the store together with its audit event.
// It does not own how accounts are kept (package store), how a password is
// hashed or judged (the Passwords port) or what a session is.
//
// Who may do what; "own" means accounts of the actor's organisation:
//
//	                  reset factors,
//	            find  temporary code add, edit, suspend, …  organisations
//	operator    all   all            all                    all
//	owner       all   all            all                    all
//	admin       own   own            own                    –
//	helpdesk    own   own            –                      –
//	auditor     all   –              –                      list
//	user        –     –              –                      –
//
// Nobody acts on themselves or on a higher role, and nobody gives a role
// above their own. Since an auditor reads every organisation, only an owner
// acts on one or makes one. The operator is whoever can run the command line
// on the server.
package people
