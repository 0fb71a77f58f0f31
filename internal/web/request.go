package web

import (
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Navigation tells whether a browser asks for a page to show in a tab of its
// own. Browsers that say what they do (Fetch Metadata) are believed; of others
// it is a navigation when Accept names HTML. "*/*" names nothing: fetch,
// XMLHttpRequest and command-line clients send it. What a library of the page
// marks as its own is none either, nor is a handshake of a WebSocket, whatever
// its program accepts.
func Navigation(r *http.Request) bool {
	if mode, said := fetchHeader(r, "Sec-Fetch-Mode"); said {
		dest, _ := fetchHeader(r, "Sec-Fetch-Dest")
		return mode == "navigate" && (dest == "" || dest == "document")
	}
	return !scripted(r.Header) && !handshake(r.Header) && namesHTML(r.Header.Values("Accept"))
}

// handshake tells whether a request asks for a WebSocket (RFC 6455 §4.1).
func handshake(h http.Header) bool {
	return slices.ContainsFunc(h["Upgrade"], func(to string) bool { return strings.EqualFold(to, "websocket") })
}

// scriptMarks are headers that libraries set on requests whose answer they put
// into a page: htmx, jQuery PJAX, Turbo, Unpoly, Inertia, Livewire, Faces,
// ASP.NET, Wicket, GWT, Prototype, intercooler.
var scriptMarks = []string{
	"Hx-Request", "X-Pjax", "Turbo-Frame", "X-Turbo-Request-Id", "X-Up-Version", "X-Up-Target", "X-Inertia", "X-Livewire", "Faces-Request",
	"X-Microsoftajax", "Wicket-Ajax", "X-Gwt-Permutation", "X-Prototype-Version", "X-Ic-Request",
}

// scripted tells whether a script of a page made a request. Android's web
// views name their app in X-Requested-With, also when they navigate.
func scripted(h http.Header) bool {
	for _, by := range h["X-Requested-With"] {
		if !strings.Contains(by, ".") {
			return true
		}
	}
	return slices.ContainsFunc(scriptMarks, func(name string) bool { return len(h[name]) > 0 })
}

// Framed tells whether a browser asks for a page to show inside another.
func Framed(r *http.Request) bool {
	mode, _ := fetchHeader(r, "Sec-Fetch-Mode")
	if mode == "nested-navigate" { // what browsers said before Sec-Fetch-Dest
		return true
	}
	if mode != "navigate" {
		return false
	}
	switch dest, _ := fetchHeader(r, "Sec-Fetch-Dest"); dest {
	case "iframe", "frame", "embed", "object", "fencedframe":
		return true
	}
	return false
}

// topLevel tells whether a page may answer: nothing says what the browser
// does, or the browser says that it navigates a whole window.
func topLevel(r *http.Request) bool {
	mode, said := fetchHeader(r, "Sec-Fetch-Mode")
	if said && mode != "navigate" || !said && scripted(r.Header) {
		return false
	}
	dest, said := fetchHeader(r, "Sec-Fetch-Dest")
	return !said || dest == "document"
}

// TopLevelOnly lets through top-level navigations and requests that say
// nothing of their kind. A fetch, a frame or a sub-resource gets 403 and a line
// of text, so that a script of the application cannot read or drive a page.
// Status and key documents stay outside it.
func TopLevelOnly(site *Site, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if topLevel(r) {
			next.ServeHTTP(w, r)
			return
		}
		Harden(w.Header(), site)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "This page opens only in a window of its own.\n")
	})
}

// fetchHeader reads a Fetch Metadata header. A repeated one is no browser's;
// its joined value equals nothing that is allowed.
func fetchHeader(r *http.Request, name string) (value string, said bool) {
	values := r.Header.Values(name)
	return strings.Join(values, ", "), len(values) > 0
}

// namesHTML tells whether Accept asks for HTML by name (RFC 9110 §12.5.1).
func namesHTML(accept []string) bool {
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err != nil || kind != "text/html" {
				continue
			}
			q, given := params["q"]
			if weight, err := strconv.ParseFloat(q, 64); !given || err == nil && weight > 0 {
				return true
			}
		}
	}
	return false
}
