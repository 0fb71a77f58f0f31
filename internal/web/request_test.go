package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestKindOfRequest(t *testing.T) {
	type headers map[string][]string
	tests := []struct {
		name                         string
		headers                      headers
		navigation, framed, topLevel bool
	}{
		{"says nothing", headers{}, false, false, true},
		{"browser of old", headers{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}, true, false, true},
		{"anything is not HTML by name", headers{"Accept": {"*/*"}}, false, false, true},
		{"text of any kind is not HTML by name", headers{"Accept": {"text/*"}}, false, false, true},
		{"JSON", headers{"Accept": {"application/json"}}, false, false, true},
		{"XHTML alone is not HTML by name", headers{"Accept": {"application/xhtml+xml"}}, false, false, true},
		{"HTML in a second line", headers{"Accept": {"application/json", "TEXT/HTML"}}, true, false, true},
		{"HTML unwanted", headers{"Accept": {"text/html;q=0, application/json"}}, false, false, true},
		{"HTML with a broken weight", headers{"Accept": {"text/html;q=x"}}, false, false, true},
		{"HTML inside another word", headers{"Accept": {"text/html5, application/x-text/html"}}, false, false, true},
		{"window", headers{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, true, false, true},
		{"mode alone", headers{"Sec-Fetch-Mode": {"navigate"}}, true, false, true},
		{"mode wins over Accept", headers{"Sec-Fetch-Mode": {"cors"}, "Accept": {"text/html"}}, false, false, false},
		{"fetch", headers{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}}, false, false, false},
		{"image", headers{"Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}, false, false, false},
		{"WebSocket", headers{"Sec-Fetch-Mode": {"websocket"}, "Sec-Fetch-Dest": {"empty"}}, false, false, false},
		{"WebSocket of a program", headers{"Upgrade": {"WebSocket"}, "Connection": {"Upgrade"}, "Accept": {"text/html, */*"}}, false, false, true},
		{"iframe", headers{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}, false, true, false},
		{"frame", headers{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"frame"}}, false, true, false},
		{"embed", headers{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"embed"}}, false, true, false},
		{"object", headers{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"object"}}, false, true, false},
		{"fenced frame", headers{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"fencedframe"}}, false, true, false},
		{"frame of an old browser", headers{"Sec-Fetch-Mode": {"nested-navigate"}}, false, true, false},
		{"destination alone", headers{"Sec-Fetch-Dest": {"empty"}, "Accept": {"text/html"}}, true, false, false},
		{"mode twice", headers{"Sec-Fetch-Mode": {"navigate", "cors"}}, false, false, false},
		{"jQuery", headers{"X-Requested-With": {"XMLHttpRequest"}, "Accept": {"text/html, */*; q=0.01"}}, false, false, false},
		{"htmx", headers{"HX-Request": {"true"}, "Accept": {"text/html"}}, false, false, false},
		{"Turbo", headers{"Turbo-Frame": {"cases"}, "Accept": {"text/html, application/xhtml+xml"}}, false, false, false},
		{"Faces", headers{"Faces-Request": {"partial/ajax"}, "Accept": {"text/html"}}, false, false, false},
		{"ASP.NET", headers{"X-MicrosoftAjax": {"Delta=true"}, "Accept": {"text/html"}}, false, false, false},
		{"Android's web view", headers{"X-Requested-With": {"org.example.app"}, "Accept": {"text/html"}}, true, false, true},
		{"a window of a web view", headers{"X-Requested-With": {"org.example.app"}, "Sec-Fetch-Mode": {"navigate"}}, true, false, true},
		{"empty mode", headers{"Sec-Fetch-Mode": {""}, "Accept": {"text/html"}}, false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/.stepgate/account", nil)
			for name, values := range tt.headers {
				r.Header[http.CanonicalHeaderKey(name)] = values
			}
			if got := Navigation(r); got != tt.navigation {
				t.Errorf("Navigation = %v", got)
			}
			if got := Framed(r); got != tt.framed {
				t.Errorf("Framed = %v", got)
			}
			reached := false
			w := httptest.NewRecorder()
			TopLevelOnly(testSite(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })).ServeHTTP(w, r)
			if reached != tt.topLevel {
				t.Errorf("page reached = %v", reached)
			}
			if !reached && (w.Code != http.StatusForbidden || w.Header().Get("X-Frame-Options") != "DENY") {
				t.Errorf("refused with %d and %v", w.Code, w.Header())
			}
		})
	}
}
