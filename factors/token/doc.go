// Package token is the factor `token`: a secret that a program sends with its
// requests, because it cannot answer a challenge.
//
// It owns what a token looks like, what is kept of it, and what it may be used
// for. A token is 160 random bits, so that the SHA-256 of it, by which it is
// found, tells nothing about it. It is no Factor of a page: nobody enrols or
// answers it there. It counts only for levels that name it, which policy
// sees to, and never for being signed in.
package token
