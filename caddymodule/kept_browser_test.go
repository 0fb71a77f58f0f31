package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAnUploadInABrowserIsSentOnceAndLeadsOn has a browser's own multipart
// body, its double click and its back button, and an answer that leads to
// another origin.
func TestAnUploadInABrowserIsSentOnceAndLeadsOn(t *testing.T) {
	c := startChromium(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "paid elsewhere") }))
	t.Cleanup(elsewhere.Close)
	g := startGateway(t, keptSite, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			http.Redirect(w, r, elsewhere.URL+"/thanks", http.StatusSeeOther)
		case r.URL.Path == "/forms":
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, `<form method="post" enctype="multipart/form-data" action="/payments?x=(1)|'&amp;y=ü"><input name="amount" value="12">
				<input type="password" name="pin" value="not to be shown"><input type="file" name="document"><button>Pay</button></form>`)
		default:
			io.WriteString(w, "home")
		}
	}))
	for i, l := range []looks{{1280, true, false}, {360, false, true}} {
		t.Run(l.String(), func(t *testing.T) {
			g.t = t
			name := fmt.Sprintf("joe%d", i)
			g.addUser(name)
			b := c.profile(t, l).open(g.url + "/").signIn(name).open(g.url + "/forms")
			evaluate[int](b, `(() => { const d = new DataTransfer(); d.items.add(new File([new Uint8Array(3 << 20).fill(65)], "exhibit \"A\".bin"));
				return (document.querySelector("[type=file]").files = d.files).length })()`)
			b.press("button").at("/enrol/totp").readSecret()
			g.got()
			b.fill("code", b.code()).press(`main button[value="verify"]`)
			b.says("backup codes").press(submitButton)
			b.says("not been sent yet").says(`exhibit "A".bin`).says("amount, pin").shoot("continue")
			if text := b.text(); containsAny(text, "not to be shown") {
				t.Errorf("the page shows what was typed:\n%s", text)
			}
			offered := b.url().String()
			b.doubleClick(submitButton)
			b.awaitURL("/thanks").says("paid elsewhere")
			all := g.got()
			if len(all) != 1 || all[0].Line != "POST /payments?x=(1)|%27&y=%C3%BC" {
				t.Fatalf("the upstream got %d requests, first %+v", len(all), all)
			}
			if body := []byte(all[0].Body); bytes.Count(body, []byte("A")) < 3<<20 || !bytes.Contains(body, []byte(`exhibit %22A%22.bin`)) {
				t.Errorf("the upload has %d bytes: %.300s", len(body), body)
			}
			b.open(offered).says("sent already").shoot("continued")
		})
	}
}
