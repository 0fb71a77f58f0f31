package caddymodule

import (
	"crypto/rand"
	goflag "flag"
	"fmt"
	"html"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

var (
	orders         = goflag.Int("orders", 2, "how many random orders of requests are played over each kind of application")
	ordersPatience = goflag.Duration("orders-patience", time.Hour, "how long requests of a session wait for each other in them")
	ordersSeed     = goflag.Uint64("orders-seed", 0, "the seed of one order that is played again")
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
	// lies answers some good passwords as if they were wrong.
	lies bool
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
	seen     int  // requests that needed a second factor
	settled  bool // everybody has signed in once, as themselves
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
			if a.lies && a.settled && a.random.IntN(4) == 0 {
				fmt.Fprint(w, "Invalid password")
				return
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
	switch random.IntN(16) {
	case 0, 1, 2, 3:
		send("GET", "/cases/1", nil)
	case 13: // forgets who they are here, and not what the app gave them
		at, _ := url.Parse(p.base)
		p.jar.SetCookies(at, []*http.Cookie{{Name: p.place().Cookie, Path: "/", MaxAge: -1}})
	case 4:
		send("POST", "/cases/2", url.Values{"a": {"b"}})
	case 5:
		if a.loose {
			return
		}
		send("POST", "/api/login", url.Values{"name": {other}, "secret": {officePasswords[other]}})
	case 6:
		send("POST", "/login.php", url.Values{"user": {other}, "pass": {officePasswords[other]}})
	case 7:
		send("POST", "/login.php", url.Values{"user": {other}, "pass": {"wrong"}})
	case 8:
		send("GET", "/public/x", nil)
	case 9, 10, 11: // signs in again as who they are
		send("POST", "/login.php", url.Values{"user": {p.name}, "pass": {officePasswords[p.name]}})
		p.prove()
	case 12: // changes their name in the app, or has it changed back
		a.mu.Lock()
		name := fmt.Sprintf("%s-%d", p.name, random.IntN(3))
		if a.loose {
			name = other
		}
		a.names[p.name] = []string{"", "", name}[random.IntN(3)]
		a.mu.Unlock()
	case 14: // leaves the app's cookie lying about
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

func (p *player) place() session.Place {
	at, _ := url.Parse(p.base)
	return session.Place{Origin: p.base, Cookie: session.CookieName(false, at.Port())}
}

// prove adds a second factor to the browser's session, if it is the player's:
// nobody has another's. It tells whether it did.
func (p *player) prove() bool {
	at, _ := url.Parse(p.base)
	header := http.Header{}
	for _, c := range p.jar.Cookies(at) {
		header.Add("Cookie", c.String())
	}
	manager := active.Load().sessions
	found, err := manager.Find(p.t.Context(), header, p.place())
	if err != nil || found == nil || found.Owner.Account.Username != p.name {
		return false
	}
	w := httptest.NewRecorder()
	if _, err := manager.Raise(p.t.Context(), w, p.place(), found, func(s *session.Session) error {
		s.Proofs = append(s.Proofs, policy.Proof{Factor: policy.TOTP, Credential: "of " + p.name, At: time.Now().UTC()})
		return nil
	}); err != nil {
		return false
	}
	p.jar.SetCookies(at, w.Result().Cookies())
	return true
}

// TestNoOrderBringsOnePersonsProofsToAnothersSession plays random orders of
// sign-ins, changes of name and of cookie, and requests, in several tabs at
// once. The argument why none can win is in docs/security.md.
func TestNoOrderBringsOnePersonsProofsToAnothersSession(t *testing.T) {
	for kind := range 1 << 5 {
		h := habits{keeps: kind&1 != 0, changes: kind&2 != 0, shares: kind&4 != 0, loose: kind&8 != 0, lies: kind&16 != 0}
		t.Run(fmt.Sprintf("%+v", h), func(t *testing.T) {
			if testing.Short() && kind&(kind-1) != 0 {
				t.Skip("one habit at a time")
			}
			seen, proved, seeds := 0, 0, make([]uint64, *orders)
			for i := range seeds {
				seeds[i] = mathrand.Uint64()
			}
			if *ordersSeed != 0 {
				seeds = []uint64{*ordersSeed}
			}
			for _, seed := range seeds {
				a := &restless{habits: h, t: t, sessions: map[string]string{}, names: map[string]string{}, random: mathrand.New(mathrand.NewPCG(seed, 0))}
				// One gateway for each, for tries at passwords are counted.
				g := startGateway(t, officeSite, a)
				// Who has waited for long goes all the same, and the app is asked
				// before the answer goes out: the witness sees no answers.
				active.Load().turns.Patience = *ordersPatience
				proved += play(t, a, g, seed)
				seen += a.seen
				if t.Failed() {
					t.Fatalf("-orders-seed %d", seed)
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

// play is one order. It tells how many people had proved a second factor.
func play(t *testing.T, a *restless, g *rig, seed uint64) (proved int) {
	const moves = 25
	var loot []string
	var players []*player
	for _, name := range []string{"mallory", "ann", "joe"} {
		p := &player{g.browser(), name}
		p.get("/login.php")
		p.atOffice(name, officePasswords[name])
		if p.prove() {
			proved++
		}
		players = append(players, p)
	}
	a.mu.Lock()
	a.settled = true
	a.mu.Unlock()
	if a.shares {
		// It has given a value away before the gateway can see it.
		random := mathrand.New(mathrand.NewPCG(seed, 1))
		for range 6 * moves {
			players[random.IntN(len(players))].move(a, g, random, &loot)
		}
		return proved
	}
	var tabs sync.WaitGroup
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
	return proved
}
