// Package challenge holds the ceremonies that turn "not enough" into
// "enough": sign-in, step-up and enrolment, and the one dispatcher that
// decides what is next.
//
// It owns the steps and the pages by prompt shape. What a ceremony remembers,
// its continuation and its stored transaction, is data of package ceremony.
// It does not decide what a request needs (package policy), how a factor is
// proved (package factors) or what a session is (package session).
//
// A visitor whom nobody knows makes the gateway keep nothing: the
// continuation travels sealed in the page's address. Once there is a session,
// the ceremony's state is a stored ceremony.Transaction, one for each
// continuation and factor. Each POST verifies one thing, saves, and returns to
// dispatch; steps never redirect to one another.
//
// Several sources may stand side by side. The domain of a name chooses among
// them where one is for it (domain.go): no other is asked about that name then.
//
// Site has what the gate and other rooms ask and what several ceremonies
// share; each ceremony has a type of its own that embeds it. Two words have one
// meaning here: kept are interrupted requests, until they go on (package
// kept); held are the credentials that a person has.
package challenge
