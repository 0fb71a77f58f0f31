// Package source is the contract between a gateway and its sign-in sources,
// which are Caddy modules of the namespace stepgate.sign_in: those of the
// tree, in package guest, and those that somebody makes in a repository of
// their own. For these it gives the types of the contract names that they can
// import.
//
// It holds no source and no logic.
package source
