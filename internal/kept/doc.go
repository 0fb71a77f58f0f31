// Package kept is the interrupted request that survives a challenge: a form,
// an upload, any POST that a person's own page sent, kept sealed until they
// have confirmed who they are, and sent on at most once.
//
// It owns what of a request is kept, whose it is, how much may be kept, the
// one replay, and the form by which a browser asks for it. It does not decide
// who may have a request kept, whether its levels are met (package policy),
// or how the pages around it look (package challenge). Package challenge
// keeps and finds requests; the handler sends them on.
//
//	state      entered by                      left by
//	writing    Keep begins                     its end, an error, expiry
//	kept       Keep returns                    Redeem, Drop, expiry
//	continued  Redeem, for one caller of all   expiry; the body goes before
//
// A request is bound to an account, a site and one browser: the one whose
// binding (a cookie that only it has) was there when it was kept. A browser
// that is told to send a form by a stranger's page cannot have it kept at
// all; that is for the caller to see to. Sending it on needs the ID as well,
// which only a page shown to that browser has.
//
// The body is written and read in chunks, so that a large one neither sits in
// memory nor keeps other writers waiting.
package kept
