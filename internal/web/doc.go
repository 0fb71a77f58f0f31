// Package web is the page kit of everything the gateway itself answers below
// its prefix (/.stepgate): the layout and its parts, style and script, the
// security headers, form reading, the guard against forged requests, error
// pages and problem documents, languages, and the QR picture.
//
// It owns how a page looks and what surrounds it. It does not own what a page
// says: the packages with pages (challenge, selfservice, admin) bring their
// templates, texts and scripts as a file system and get Pages back:
//
//	//go:embed pages
//	var files embed.FS
//
//	sub, _ := fs.Sub(files, "pages")
//	pages, err := kit.Parse("challenge", sub, "sign-in", "code")
//
// The file system holds, flat:
//
//	NAME.html        one page; defines "title" and "main", perhaps "scripts"
//	_NAME.html       parts that all pages of the set share
//	texts_LANG.json  a flat object of id to text, texts_en.json complete
//	assets/NAME      scripts and pictures, served under hashed names
//
// A page is executed with a struct that embeds View. In it {{t "id"}} is a
// text, {{.Link "/account"}} an address below the prefix, {{.Script "x.js"}} a
// script tag that the Content-Security-Policy lets through, and
// {{template "field" (.Input "code" "kind" "code" "label" (t "code.label"))}} an
// input with its label, hint and error. kit/parts.html lists the parts.
//
// An operator's directory replaces files of the same name: DIR/challenge/ for
// the set "challenge", DIR/web/ for the kit's own.
//
// A handler returns an error and writes nothing then; Handle turns the error
// into a page or a problem document, with a reference, and logs it.
//
// Everyone may import it; it imports nothing of ours.
package web
