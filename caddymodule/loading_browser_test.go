package caddymodule

import (
	"fmt"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// lastLoads is how many answers and failures a test that fails tells of.
const lastLoads = 20

// hearLoads has a test that fails tell what its tab was answered for pages, and
// what it could not load, which the page of an error does not say.
func (b *tab) hearLoads() {
	b.t.Helper()
	var mu sync.Mutex
	var heard []string
	hear := func(what ...any) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, fmt.Sprint(what...))
	}
	err := chromedp.Listen(b.ctx, func(event any) {
		switch e := event.(type) {
		case *network.EventLoadingFailed:
			hear(e.Type, ": ", e.ErrorText)
		case *network.EventResponseReceived:
			if e.Type == network.ResourceTypeDocument {
				hear(e.Response.Status, " ", e.Response.URL)
			}
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	b.t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		if b.t.Failed() {
			b.t.Logf("the tab loaded last:\n%s", strings.Join(heard[max(0, len(heard)-lastLoads):], "\n"))
		}
	})
}
