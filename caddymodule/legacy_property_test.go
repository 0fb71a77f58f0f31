package caddymodule

import (
	"crypto/rand"
	"fmt"
	"html"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// habits are what a restless application does with its cookie.
type habits struct {
	keeps   bool // a sign-in leaves the cookie as it was
	changes bool // any page may give a new one
	shares  bool // a few values do for everybody
	// loose lets people take a name that is another's. Nothing that such an
	// application says tells the two apart, so it has the watched form alone:
	// there what was typed is held against what it says.
	loose bool
}

// restless is an application that people sign in to at the form that is
// watched and at one that is not, and in which they may change their names.
// It is the witness: it knows whose its cookie is, and the gateway tells it
// whose the session is.
type restless struct {
	habits
	t *testing.T

	mu       sync.Mutex
	sessions map[string]string
	names    map[string]string
	random   *mathrand.Rand
	seen     int // requests that needed a second factor
}

func (a *restless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := ""
	if c, err := r.Cookie(officeCookie); err == nil {
		id = c.Value
	}
	who, known := a.sessions[id]
	switch r.ParseForm(); r.URL.Path {
	case "/login.php", "/api/login":
		name := r.PostForm.Get("user") + r.PostForm.Get("name")
		switch {
		case r.Method != http.MethodPost:
			if !known {
				a.give(w, "")
			}
		case officePasswords[name] != r.PostForm.Get("pass")+r.PostForm.Get("secret"):
			fmt.Fprint(w, "Invalid password")
		default:
			if known && a.keeps {
				a.sessions[id] = name
			} else {
				a.give(w, name)
			}
			http.Redirect(w, r, "/home.php", http.StatusFound)
		}
	case "/profile.php":
		if who == "" {
			fmt.Fprint(w, "Please sign in")
			return
		}
		name := who
		if a.names[who] != "" {
			name = a.names[who]
		}
		fmt.Fprintf(w, "Signed in as <b>%s</b>", html.EscapeString(name))
	default:
		if strings.HasPrefix(r.URL.Path, "/cases/") {
			a.judge(r, who)
		}
		if a.changes && known && a.random.IntN(4) == 0 {
			delete(a.sessions, id)
			a.give(w, who)
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "as %q", who)
	}
}

// judge is the promise: whatever came before, a request that one person's
// proofs have let through carries no other person's cookie.
func (a *restless) judge(r *http.Request, who string) {
	a.seen++
	if user := r.Header.Get("Remote-User"); who != "" && user != who {
		a.t.Errorf("%s %s with the proofs of %q and the cookie of %q", r.Method, r.URL.Path, user, who)
	}
}

func (a *restless) give(w http.ResponseWriter, who string) {
	id := rand.Text()
	if a.shares {
		id = fmt.Sprintf("shared%d", a.random.IntN(3))
	}
	a.sessions[id] = who
	http.SetCookie(w, &http.Cookie{Name: officeCookie, Value: id, Path: "/"})
}

// player is one browser with several tabs.
type player struct {
	*browser
	name string
}

// move does something that people do, and some that they should not.
func (p *player) move(a *restless, g *rig, random *mathrand.Rand, loot *[]string) {
	send := func(method, target string, form url.Values) {
		var body io.Reader
		if form != nil {
			body = strings.NewReader(form.Encode())
		}
		r, err := http.NewRequestWithContext(p.t.Context(), method, g.url+target, body)
		if err != nil {
			panic(err)
		}
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if resp, err := p.client.Do(r); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	people := []string{"joe", "ann", "mallory"}
	other := people[random.IntN(len(people))]
	switch random.IntN(12) {
	case 0, 1, 2:
		send("GET", "/cases/1", nil)
	case 3:
		send("POST", "/cases/2", url.Values{"a": {"b"}})
	case 4:
		if a.loose {
			return
		}
		send("POST", "/api/login", url.Values{"name": {other}, "secret": {officePasswords[other]}})
	case 5:
		send("POST", "/login.php", url.Values{"user": {other}, "pass": {officePasswords[other]}})
	case 6:
		send("POST", "/login.php", url.Values{"user": {other}, "pass": {"wrong"}})
	case 7:
		send("GET", "/public/x", nil)
	case 8: // signs in again as who they are
		send("POST", "/login.php", url.Values{"user": {p.name}, "pass": {officePasswords[p.name]}})
	case 9: // changes their name in the app, or has it changed back
		a.mu.Lock()
		name := fmt.Sprintf("%s-%d", p.name, random.IntN(3))
		if a.loose {
			name = other
		}
		a.names[p.name] = []string{"", name}[random.IntN(2)]
		a.mu.Unlock()
	case 10: // leaves the app's cookie lying about
		a.mu.Lock()
		*loot = append(*loot, p.cookie(officeCookie))
		a.mu.Unlock()
	default: // takes one that lies about
		a.mu.Lock()
		if len(*loot) > 0 {
			if value := (*loot)[random.IntN(len(*loot))]; value != "" {
				p.put(officeCookie, value)
			}
		}
		a.mu.Unlock()
	}
}

// TestNoOrderBringsOnePersonsProofsToAnothersSession plays random orders of
// sign-ins, changes of name and of cookie, and requests, in several tabs at
// once. The argument why none can win is in docs/security.md.
func TestNoOrderBringsOnePersonsProofsToAnothersSession(t *testing.T) {
	rounds, moves := 4, 20
	if testing.Short() {
		rounds = 1
	}
	for _, h := range []habits{
		{}, {keeps: true}, {changes: true}, {keeps: true, changes: true}, {shares: true}, {keeps: true, shares: true}, {keeps: true, changes: true, shares: true},
		// An app that lets people take each other's names and keeps its cookie is
		// left out: a state of that kind was found (docs/security.md).
		{loose: true}, {loose: true, changes: true},
	} {
		t.Run(fmt.Sprintf("%+v", h), func(t *testing.T) {
			seen, proved := 0, 0
			for round := range rounds {
				seed := mathrand.Uint64()
				a := &restless{habits: h, t: t, sessions: map[string]string{}, names: map[string]string{}, random: mathrand.New(mathrand.NewPCG(seed, 0))}
				g := startGateway(t, officeSite, a)
				var loot []string
				var players []*player
				for _, name := range []string{"mallory", "ann", "joe"} {
					b := g.browser()
					b.get("/login.php")
					b.atOffice(name, officePasswords[name])
					if p := b.get("/cases/1"); strings.HasSuffix(p.url.Path, "/enrol") || strings.HasSuffix(p.url.Path, "/enrol/totp") {
						b.enrol(p.atEnrolment())
						proved++
					}
					players = append(players, &player{b, name})
				}
				var tabs sync.WaitGroup
				if h.shares {
					// It has given a value away before the gateway can see it.
					random := mathrand.New(mathrand.NewPCG(seed, 1))
					for range 6 * moves {
						players[random.IntN(len(players))].move(a, g, random, &loot)
					}
					players = nil
				}
				for i, p := range players {
					for tab := range 2 {
						tabs.Go(func() {
							random := mathrand.New(mathrand.NewPCG(seed, uint64(10*i+tab+1)))
							for range moves {
								p.move(a, g, random, &loot)
							}
						})
					}
				}
				tabs.Wait()
				seen += a.seen
				if t.Failed() {
					t.Logf("round %d, seed %d", round, seed)
				}
				if err := stopGateway(); err != nil {
					t.Fatal(err)
				}
			}
			if seen == 0 || proved == 0 {
				t.Errorf("nobody got as far as what needs a second factor: %d requests, %d people", seen, proved)
			}
		})
	}
}
