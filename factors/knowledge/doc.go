// Package knowledge is the factors of what a person knows beside the password:
// a security PIN (`pin`) and security questions (`security_questions`).
//
// SP 800-63B-4 §3.1.1.2 accepts neither as an authenticator: both are guessed,
// overheard and found out as passwords are, and answers are often known to
// family or printed on a web page. They are offered all the same because
// portals in use ask for them; no built-in level takes them, they authorise no
// change to an account, and they count only where a level names them.
//
// What is kept of either is one argon2id hash, salted, over a MAC of the answer
// under the key ring, so that a copy of the store without the key file allows
// no guess. The three answers are hashed as one: whoever guesses learns nothing
// of a single one. Tries are counted by the ceremony, in the store, before
// anything is compared.
package knowledge
