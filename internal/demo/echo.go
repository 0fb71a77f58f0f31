package demo

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
)

// echo prints the request as it arrived, so that an operator sees what the
// gateway sends on: method, raw target, host, every header and trailer line,
// and the length and SHA-256 of the body.
func echo(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, "The body could not be read.", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(w, "method: %s\ntarget: %s\nproto: %s\nhost: %s\n\n", r.Method, r.RequestURI, r.Proto, r.Host)
	echoFields(w, "header", r.Header)
	echoFields(w, "trailer", r.Trailer)
	fmt.Fprintf(w, "\nbody: %d bytes, sha256 %x\n", n, sum.Sum(nil))
}

func echoFields(w io.Writer, kind string, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			fmt.Fprintf(w, "%s %s: %s\n", kind, name, value)
		}
	}
}
