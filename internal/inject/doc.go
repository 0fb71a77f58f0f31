// Package inject owns the one script that the gateway adds to pages of the
// application, and the rewriter that adds it (`inject_step_up`).
//
// A Script is that script for one site: its file, its address and the texts
// that it speaks. A Page is what becomes of one answer: Prepare looks at its
// header, corrects what a longer body makes untrue and lets the page's content
// security policy know the script's address; Body then passes the bytes on and
// adds the script's tag behind the start of the head. Nothing else in a page
// changes, and nothing is buffered but the few bytes of a tag that has only
// begun.
//
// On a page of the app's own login the tag says so, and the script has the form
// carry along what stands behind the # of the address that the person came for.
//
// Left as they are: what no window and no frame of the same origin asked for,
// answers that are no HTML or no whole pages, downloads, fragments and pages
// without a head, answers in codings other than gzip, and what the
// application marks no-transform.
//
// The package knows no sessions and no policy. Package gate gives it the
// answers of the upstream, and package challenge answers what the script asks.
package inject
