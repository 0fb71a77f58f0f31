package web

import (
	"net/http"
	"strings"
	"testing"
)

func TestEveryPageRendersItsZeroView(t *testing.T) {
	p := samplePages(t)
	if err := p.CheckViews(map[string]any{"everything": sampleView{}}); err != nil {
		t.Error(err)
	}
	own := p.kit.own
	if err := own.CheckViews(map[string]any{"fail": failView{}, "framed": &framedView{}}); err != nil {
		t.Error(err)
	}
}

func TestRenderShowsTitleOnceAndEscapes(t *testing.T) {
	w, body := render(t, navigation("GET", "/.stepgate/challenge", ""), &sampleView{View: View{Account: `<svg onload=alert(1)>`}})
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	if n := strings.Count(body, "<h1>"); n != 1 {
		t.Errorf("%d h1", n)
	}
	if strings.Contains(body, "<svg onload") {
		t.Error("account name is not escaped")
	}
	if !strings.Contains(body, "<title>Every part of the kit – Casework Portal</title>") {
		t.Errorf("no title in %s", body)
	}
}
