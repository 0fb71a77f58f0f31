package authenticator

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/policy"
)

const (
	appOrigin = "https://auth.example.gov"
	portal    = "https://portal.example.gov"
)

// rig is the app's endpoints over a new store, and the factor that asks.
type rig struct {
	*Server
	t      *testing.T
	dir    string
	db     *sqldb.DB
	factor *approval.Factor
	owner  account.Account

	mu  sync.Mutex
	now time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	k := &rig{t: t, dir: t.TempDir(), now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	if _, err := keys.Create(filepath.Join(k.dir, "stepgate.key"), k.now); err != nil {
		t.Fatal(err)
	}
	k.db = k.openStore()
	k.Server = &Server{
		Store: k.db, Origin: appOrigin, SiteName: func(string) string { return "Portal" },
		Notices: func(string) *people.Notices {
			return &people.Notices{Name: "Portal", Origin: portal, Offers: func(c string) bool { return c == "email" }}
		},
		Address: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") },
		Report:  func(reference string, err error) { t.Errorf("%s: %v", reference, err) },
		Now: func() time.Time {
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.now
		},
	}
	k.factor = &approval.Factor{Store: k.db, Origin: appOrigin}
	k.owner = k.person("joe", account.RoleUser)
	return k
}

// openStore opens the database as a node of its own does.
func (k *rig) openStore() *sqldb.DB {
	k.t.Helper()
	ring, err := keys.Load(filepath.Join(k.dir, "stepgate.key"))
	if err != nil {
		k.t.Fatal(err)
	}
	db, err := sqldb.OpenSQLite(k.t.Context(), filepath.Join(k.dir, "stepgate.db"), sqldb.Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { db.Close() })
	return db
}

func (k *rig) wait(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

func (k *rig) update(change func(context.Context, store.Tx) error) {
	k.t.Helper()
	if err := k.db.Update(k.t.Context(), func(tx store.Tx) error { return change(k.t.Context(), tx) }); err != nil {
		k.t.Fatal(err)
	}
}

func (k *rig) person(name string, role account.Role) account.Account {
	k.t.Helper()
	a := account.Account{
		ID: account.NewID(), Source: account.LocalSource, Subject: name, Username: name, Email: name + "@example.gov", Organisation: account.DefaultOrganisation,
		Role: role, CreatedAt: k.Now(),
	}
	k.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertAccount(ctx, a) })
	return a
}

// handset is a phone: what the app's script does, with a PIN that is mixed in
// more cheaply.
type handset struct {
	k      *rig
	d      []byte
	key    string
	bearer string
	id     account.CredentialID
}

// post asks an endpoint as the app does.
func (k *rig) post(path, bearer string, in any, out any, change ...func(*http.Request)) int {
	k.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		k.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, appOrigin+path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, r)
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			k.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	return w.Code
}

func statementOf(kind, origin string, o approval.Options, challenge string) []byte {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		"stepgate soft token, version 1", kind, origin, o.Account, o.Purpose, o.Transaction, o.Key, challenge,
	}, "\n")))
	return sum[:]
}

func signed(t *testing.T, d, sum []byte) []byte {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		t.Fatal(err)
	}
	r, s, err := ecdsa.Sign(rand.Reader, key, sum)
	if err != nil {
		t.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func letter(t *testing.T, server string, plain []byte) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(server)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ecdh.P256().NewPublicKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	own, _ := ecdh.P256().GenerateKey(rand.Reader)
	agreed, _ := own.ECDH(theirs)
	half := own.PublicKey().Bytes()
	key, _ := hkdf.Key(sha256.New, agreed, append(append([]byte{}, half...), raw...), "stepgate soft token answer", 32)
	block, _ := aes.NewCipher(key)
	gcm, _ := cipher.NewGCM(block)
	return base64.RawURLEncoding.EncodeToString(append(half, gcm.Seal(nil, make([]byte, 12), plain, nil)...))
}

// pairing begins one in a browser of somebody's, and gives the ticket.
func (k *rig) pairing(owner account.Account) (ceremony.Transaction, string) {
	k.t.Helper()
	now := k.Now()
	t, err := k.db.OpenTransaction(k.t.Context(), ceremony.Transaction{
		ID: ceremony.NewID(), Session: "s", Key: ceremony.NewID(), Actor: owner.ID, Subject: owner.ID, Site: portal, Purpose: "enrol", Factor: policy.Approval,
		CreatedAt: now, ExpiresAt: now.Add(ceremony.TransactionTTL), Version: 1,
	}, now)
	if err != nil {
		k.t.Fatal(err)
	}
	prompt, state, err := k.factor.BeginEnrolment(k.t.Context(), factors.Scope{Account: owner, Transaction: t.ID}, nil, nil, factors.Answer{})
	if err != nil {
		k.t.Fatal(err)
	}
	t.State = state
	if err := k.db.SaveTransaction(k.t.Context(), t, now); err != nil {
		k.t.Fatal(err)
	}
	ticket, ok := strings.CutPrefix(prompt.SecretURI, appOrigin+"/#pair=")
	if !ok {
		k.t.Fatalf("the link is %s", prompt.SecretURI)
	}
	return t, ticket
}

// offered makes a phone's key for a ticket.
func (k *rig) offered(ticket string) (h *handset, check string, status int) {
	k.t.Helper()
	var in invited
	if status = k.post("/api/pair", "", map[string]string{"ticket": ticket}, &in); status != http.StatusOK {
		return nil, "", status
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		k.t.Fatal(err)
	}
	d, _ := key.Bytes()
	point, _ := key.PublicKey.Bytes()
	var out offered
	status = k.post("/api/pair/offer", "", offering{
		Ticket: ticket, Letter: letter(k.t, in.Server, append(point, signed(k.t, d, statementOf("make", appOrigin, in.Options, in.Challenge))...)), Name: "My phone",
	}, &out)
	return &handset{k: k, d: d, key: in.Key, bearer: out.Bearer}, out.Check, status
}

// paired pairs a phone with somebody's account.
func (k *rig) paired(owner account.Account) *handset {
	k.t.Helper()
	t, ticket := k.pairing(owner)
	h, check, status := k.offered(ticket)
	if status != http.StatusOK {
		k.t.Fatalf("pairing: %d", status)
	}
	open, err := k.db.Transaction(k.t.Context(), t.ID, k.Now())
	if err != nil {
		k.t.Fatal(err)
	}
	c, err := k.factor.ConfirmEnrolment(k.t.Context(), factors.Scope{}, nil, open.State, factors.Answer{Fields: map[string]string{"check": check}})
	if err != nil {
		k.t.Fatal(err)
	}
	c.ID, c.Account, c.CreatedAt = account.NewCredentialID(), owner.ID, k.Now()
	k.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertCredential(ctx, c) })
	h.id = c.ID
	return h
}

// ask has a browser of somebody's ask.
type asked struct {
	scope  factors.Scope
	state  factors.State
	number string
}

func (k *rig) ask(owner account.Account, session string) (asked, error) {
	k.t.Helper()
	a := asked{scope: factors.Scope{
		Account: owner, Session: session, Site: portal, SiteName: "Portal", Purpose: "step-up", Transaction: ceremony.NewID(),
		Address: netip.MustParseAddr("198.51.100.4"), About: factors.About{Method: "POST", Target: "/pay?to=amy"}, Now: k.Now(),
	}}
	prompt, state, err := k.factor.Prepare(k.t.Context(), a.scope, k.held(owner), nil, true)
	a.state, a.number = state, prompt.Number
	return a, err
}

func (k *rig) mustAsk(owner account.Account, session string) asked {
	k.t.Helper()
	a, err := k.ask(owner, session)
	if err != nil {
		k.t.Fatal(err)
	}
	return a
}

func (k *rig) held(owner account.Account) []account.Credential {
	k.t.Helper()
	held, err := k.db.Credentials(k.t.Context(), owner.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	return held
}

// verify spends what a request was answered with.
func (k *rig) verify(a asked) error {
	a.scope.Now = k.Now()
	_, err := k.factor.Verify(k.t.Context(), a.scope, k.held(a.scope.Account), a.state, factors.Answer{})
	return err
}

// waits is what waits on a phone.
func (h *handset) waits() []request {
	h.k.t.Helper()
	var out waiting
	if status := h.k.post("/api/requests", h.bearer, struct{}{}, &out); status != http.StatusOK {
		h.k.t.Fatalf("requests: %d", status)
	}
	return out.Requests
}

// sign makes the letter of an answer.
func (h *handset) sign(q request, number, kind, origin string) string {
	challenge, err := base64.RawURLEncoding.DecodeString(q.Options.Challenge)
	if err != nil {
		h.k.t.Fatal(err)
	}
	sum := sha256.Sum256(slices.Concat([]byte(q.Shown), []byte{0}, []byte(number), []byte{0}, challenge))
	return letter(h.k.t, q.Options.Server, signed(h.k.t, h.d, statementOf(kind, origin, q.Options, base64.RawURLEncoding.EncodeToString(sum[:]))))
}

func (h *handset) approve(q request, number string) (outcome, int) {
	return h.send(q.ID, number, h.sign(q, number, "approve", appOrigin))
}

func (h *handset) send(id, number, letter string) (outcome, int) {
	h.k.t.Helper()
	var out outcome
	status := h.k.post("/api/approve", h.bearer, map[string]string{"id": id, "number": number, "letter": letter}, &out)
	return out, status
}

func otherThan(number string) string {
	if number == "99" {
		return "98"
	}
	return "99"
}

func (k *rig) events(name audit.Name) (found []audit.Event) {
	k.t.Helper()
	records, err := k.db.Events(k.t.Context(), audit.Query{Names: []audit.Name{name}})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, r := range records {
		found = append(found, r.Event)
	}
	return found
}
