package caddymodule

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stepgate/stepgate/internal/people"
)

// crowdSite has a handler behind the gate that changes in place what it sets.
const crowdSite = `{{site}} {
	route {
		stepgate {
			policy {
				public  /public/*
				default signed_in
			}
		}
		request_header Remote-Name Person Citizen
		reverse_proxy {{upstream}}
	}
}
`

// toldOf is what an upstream was told of a request.
type toldOf struct{ User, Name, Email, Subject, Cookie string }

func tell(w http.ResponseWriter, r *http.Request) {
	var claims struct {
		Username string `json:"preferred_username"`
	}
	if parts := strings.Split(r.Header.Get("Stepgate-Assertion"), "."); len(parts) == 3 {
		text, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(text, &claims)
	}
	h := r.Header
	_ = json.NewEncoder(w).Encode(toldOf{h.Get("Remote-User"), h.Get("Remote-Name"), h.Get("Remote-Email"), claims.Username, strings.Join(h["Cookie"], "|")})
}

// Many people at once, each over several connections, with strangers between
// them: the upstream is told of each request only whose it is.
func TestInACrowdEverybodyIsToldOnlyOfThemselves(t *testing.T) {
	const persons, connections, requests = 12, 3, 60
	g := startGateway(t, crowdSite, http.HandlerFunc(tell))
	cookies := make([]string, persons)
	for i := range cookies {
		name := fmt.Sprintf("person%d", i)
		g.addUser(name, func(n *people.NewAccount) { n.Name = fmt.Sprintf("Person %d", i) })
		b := g.browser()
		b.signIn(b.get("/start"), name).want(200, "/start")
		cookies[i] = sessionCookie(t, b)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: persons * connections}, Timeout: patience}
	defer client.CloseIdleConnections()
	var all sync.WaitGroup
	faults := make(chan error, persons*connections)
	for i := range cookies {
		for range connections {
			all.Go(func() {
				for n := range requests {
					if err := askInCrowd(client, g.url, cookies[i], i, n); err != nil {
						faults <- err
						return
					}
				}
			})
		}
	}
	all.Wait()
	close(faults)
	for err := range faults {
		t.Error(err)
	}
}

// askInCrowd is the n-th request of a person over one connection. Every fifth
// is a stranger's, every third claims another method.
func askInCrowd(client *http.Client, site, cookie string, person, n int) error {
	name := fmt.Sprintf("person%d", person)
	folder, wanted := "cases", toldOf{name, fmt.Sprintf("Citizen %d", person), name + "@example.test", name, "app=" + name}
	method, cache := http.MethodGet, "private, no-cache"
	if n%5 == 0 {
		folder, cookie, wanted, cache = "public", "", toldOf{Cookie: "app=" + name}, ""
	}
	if n%3 == 0 {
		method = http.MethodPost
	}
	r, err := http.NewRequest(method, fmt.Sprintf("%s/%s/%s/%d", site, folder, name, n), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Cookie", strings.TrimSuffix("app="+name+"; "+cookie, "; "))
	if method == http.MethodPost {
		r.Header.Set("X-HTTP-Method-Override", "DELETE")
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	var got toldOf
	if err := errors.Join(err, json.Unmarshal(text, &got)); err != nil {
		return fmt.Errorf("%s: %w: %s", r.URL, err, text)
	}
	if said := answer.Header.Get("Cache-Control"); got != wanted || said != cache {
		return fmt.Errorf("%s: told %+v and %q", r.URL, got, said)
	}
	return nil
}
