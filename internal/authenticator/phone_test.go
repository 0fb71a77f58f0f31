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
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
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
	"github.com/stepgate/stepgate/internal/push"
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

func TestAnApprovalIsSpentOnceByWhoAskedForIt(t *testing.T) {
	k := newRig(t)
	h := k.paired(k.owner)
	a := k.mustAsk(k.owner, "s1")
	if err := k.verify(a); !errors.Is(err, factors.ErrPending) {
		t.Errorf("before the answer: %v", err)
	}
	q := h.waits()[0]
	var shown approval.Shown
	if err := json.Unmarshal([]byte(q.Shown), &shown); err != nil || shown.Who != "joe" || shown.Origin != portal || shown.Target != "/pay?to=amy" || shown.Address != "198.51.100.4" {
		t.Errorf("shown: %+v %v", shown, err)
	}
	// Its two digits may be those of a time or of an address as well.
	if strings.Contains(strings.Replace(q.Shown, shown.Address, "", 1), a.number) && !strings.Contains(shown.At.String(), a.number) {
		t.Error("the phone is told the number")
	}
	replay := h.sign(q, a.number, "approve", appOrigin)
	if out, _ := h.send(q.ID, a.number, replay); out.Outcome != "approved" {
		t.Fatalf("approve: %+v", out)
	}
	if _, status := h.send(q.ID, a.number, replay); status != http.StatusGone {
		t.Errorf("the same answer again: %d", status)
	}
	for what, change := range map[string]func(*factors.Scope){
		"another session": func(s *factors.Scope) { s.Session = "s2" }, "another site": func(s *factors.Scope) { s.Site = "https://other.example.gov" },
		"another ceremony": func(s *factors.Scope) { s.Transaction = ceremony.NewID() }, "another purpose": func(s *factors.Scope) { s.Purpose = "reset-password" },
		"another account": func(s *factors.Scope) { s.Account.ID = account.NewID() },
	} {
		stolen := a
		change(&stolen.scope)
		if _, err := k.factor.Verify(t.Context(), stolen.scope, k.held(k.owner), a.state, factors.Answer{}); !errors.Is(err, factors.ErrWrongAnswer) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var wait sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wait.Go(func() { errs[i] = k.verify(a) })
	}
	wait.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, factors.ErrReplayed) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d browsers went on with one approval", won)
	}
	if len(k.events(audit.RequestApproved)) != 1 {
		t.Error("the trail does not say so once")
	}
}

func TestAnApprovalDoesNotWait(t *testing.T) {
	k := newRig(t)
	h := k.paired(k.owner)
	a := k.mustAsk(k.owner, "s1")
	q := h.waits()[0]
	if out, _ := h.approve(q, a.number); out.Outcome != "approved" {
		t.Fatal(out)
	}
	k.wait(approval.Lifetime)
	if err := k.verify(a); !errors.Is(err, factors.ErrExpired) {
		t.Errorf("ten minutes later: %v", err)
	}
	b := k.mustAsk(k.owner, "s1")
	q = h.waits()[0]
	k.wait(approval.Lifetime)
	if _, status := h.approve(q, b.number); status != http.StatusGone {
		t.Errorf("an answer after ten minutes: %d", status)
	}
}

func TestOnlyThePairedKeyOverWhatWasShownApproves(t *testing.T) {
	k := newRig(t)
	h, amy := k.paired(k.owner), k.person("amy", account.RoleUser)
	theirs := k.paired(amy)
	a, b := k.mustAsk(k.owner, "s1"), k.mustAsk(k.owner, "s2")
	var q, other request
	for _, w := range h.waits() {
		var s struct{ Request string }
		if json.Unmarshal(a.state, &s); w.ID == s.Request {
			q = w
		} else {
			other = w
		}
	}
	altered := q
	altered.Shown = strings.Replace(q.Shown, "amy", "bob", 1)
	unpaired := &handset{k: k, d: make([]byte, 32), bearer: h.bearer}
	unpaired.d[31] = 7
	tries := 0
	for what, text := range map[string]string{
		"an unpaired key":             unpaired.sign(q, a.number, "approve", appOrigin),
		"somebody else's key":         theirs.sign(q, a.number, "approve", appOrigin),
		"something else was shown":    h.sign(altered, a.number, "approve", appOrigin),
		"another origin":              h.sign(q, a.number, "approve", "https://auth.example.gov.evil.test"),
		"another use of the key":      h.sign(q, a.number, "use", appOrigin),
		"another number in the words": h.sign(q, otherThan(a.number), "approve", appOrigin),
	} {
		out, status := h.send(q.ID, a.number, text)
		if tries++; status != http.StatusOK || out.Outcome != "wrong-pin" || out.Left != 10-tries {
			t.Errorf("%s: %d %+v", what, status, out)
		}
	}
	// What opens to another request is no guess, and none of this one.
	if _, status := h.send(q.ID, a.number, h.sign(other, b.number, "approve", appOrigin)); status != http.StatusGone {
		t.Errorf("the answer to another request: %d", status)
	}
	if _, status := theirs.send(q.ID, a.number, theirs.sign(q, a.number, "approve", appOrigin)); status != http.StatusGone {
		t.Errorf("somebody else's phone: %d", status)
	}
	if status := k.post("/api/deny", theirs.bearer, map[string]string{"id": q.ID}, nil); status != http.StatusGone {
		t.Errorf("somebody else denies: %d", status)
	}
	if err := k.verify(a); !errors.Is(err, factors.ErrPending) {
		t.Errorf("after all that: %v", err)
	}
	if out, _ := h.approve(q, a.number); out.Outcome != "approved" {
		t.Errorf("the right answer after all that: %+v", out)
	}
	if err := k.verify(a); err != nil {
		t.Error(err)
	}
}

func TestAWrongNumberEndsTheRequest(t *testing.T) {
	k := newRig(t)
	h := k.paired(k.owner)
	a := k.mustAsk(k.owner, "s1")
	q := h.waits()[0]
	if out, _ := h.approve(q, otherThan(a.number)); out.Outcome != "wrong-number" {
		t.Errorf("%+v", out)
	}
	if _, status := h.approve(q, a.number); status != http.StatusGone {
		t.Errorf("the right number afterwards: %d", status)
	}
	if err := k.verify(a); !errors.Is(err, factors.ErrWrongAnswer) {
		t.Error(err)
	}
	if e := k.events(audit.ChallengeFailed); len(e) != 1 || e[0].Reason != "wrong-number" {
		t.Errorf("%+v", e)
	}
}

func TestTheTenthWrongSignatureDestroysThePairing(t *testing.T) {
	k := newRig(t)
	h := k.paired(k.owner)
	a := k.mustAsk(k.owner, "s1")
	q := h.waits()[0]
	guess := &handset{k: k, d: bytes.Repeat([]byte{3}, 32), bearer: h.bearer}
	results := make([]outcome, 20)
	var wait sync.WaitGroup
	for i := range results {
		text := guess.sign(q, a.number, "approve", appOrigin)
		wait.Go(func() { results[i], _ = guess.send(q.ID, a.number, text) })
	}
	wait.Wait()
	wrong, destroyed := 0, 0
	for _, r := range results {
		switch r.Outcome {
		case "wrong-pin":
			wrong++
		case "destroyed":
			destroyed++
		}
	}
	if wrong != 9 || destroyed != 1 {
		t.Errorf("%d were judged wrong, %d destroyed", wrong, destroyed)
	}
	if status := k.post("/api/requests", h.bearer, struct{}{}, nil); status != http.StatusUnauthorized {
		t.Errorf("the phone afterwards: %d", status)
	}
	if len(k.held(k.owner)) != 0 || len(k.events(audit.FactorDisabled)) != 1 {
		t.Error("the credential is still there")
	}
}

func TestADenialIsToldAndSlowsTheNextDown(t *testing.T) {
	k := newRig(t)
	k.person("helga", account.RoleHelpdesk)
	h := k.paired(k.owner)
	a := k.mustAsk(k.owner, "s1")
	q := h.waits()[0]
	var out outcome
	if status := k.post("/api/deny", h.bearer, map[string]string{"id": q.ID}, &out); status != http.StatusOK || out.Outcome != "denied" {
		t.Fatalf("%d %+v", status, out)
	}
	if err := k.verify(a); !errors.Is(err, factors.ErrWrongAnswer) {
		t.Error(err)
	}
	e := k.events(audit.RequestDenied)
	if len(e) != 1 || e[0].Account != string(k.owner.ID) || e[0].Site != portal {
		t.Errorf("%+v", e)
	}
	mails, err := k.db.ClaimMessages(t.Context(), k.Now(), k.Now().Add(time.Minute), 10)
	if err != nil {
		t.Fatal(err)
	}
	to := map[string]string{}
	for _, m := range mails {
		to[m.Message.To] = m.Message.Body
	}
	if !strings.Contains(to["joe@example.gov"], "refused a request") || !strings.Contains(to["helga@example.gov"], "joe refused a request") {
		t.Errorf("mails: %v", to)
	}
	soon := (*factors.TooSoon)(nil)
	if _, err := k.ask(k.owner, "s2"); !errors.As(err, &soon) || !errors.Is(err, factors.ErrDenied) {
		t.Errorf("at once: %v", err)
	}
	k.wait(time.Minute)
	k.mustAsk(k.owner, "s2")
}

func TestFiveRequestsAreOpenAtMost(t *testing.T) {
	k := newRig(t)
	k.paired(k.owner)
	for range approval.MaxOpen {
		k.mustAsk(k.owner, "s1")
	}
	if _, err := k.ask(k.owner, "s2"); !errors.Is(err, factors.ErrCrowded) {
		t.Errorf("a sixth: %v", err)
	}
}

func TestARevokedPhoneIsNone(t *testing.T) {
	k := newRig(t)
	h, second := k.paired(k.owner), k.paired(k.owner)
	a := k.mustAsk(k.owner, "s1")
	q := h.waits()[0]
	if len(second.waits()) != 1 {
		t.Error("the second phone is not asked")
	}
	if out, _ := h.approve(q, a.number); out.Outcome != "approved" {
		t.Fatal(out)
	}
	k.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteCredential(ctx, h.id) })
	if err := k.verify(a); !errors.Is(err, factors.ErrExpired) {
		t.Errorf("an approval of a phone that was revoked since: %v", err)
	}
	if _, status := h.approve(q, a.number); status != http.StatusUnauthorized {
		t.Errorf("a revoked phone: %d", status)
	}
	b := k.mustAsk(k.owner, "s1")
	for _, q := range second.waits() {
		second.approve(q, b.number)
	}
	if err := k.verify(b); err != nil {
		t.Errorf("the other phone: %v", err)
	}
	suspended := k.owner
	suspended.SuspendedAt = k.Now()
	k.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateAccount(ctx, suspended) })
	if status := k.post("/api/requests", second.bearer, struct{}{}, nil); status != http.StatusUnauthorized {
		t.Errorf("the phone of somebody suspended: %d", status)
	}
}

func TestAPictureIsOfOnePhone(t *testing.T) {
	k := newRig(t)
	opened, ticket := k.pairing(k.owner)
	first, check, status := k.offered(ticket)
	if status != http.StatusOK || len(check) != 4 {
		t.Fatalf("%d %q", status, check)
	}
	if _, _, status := k.offered(ticket); status != http.StatusGone {
		t.Errorf("a second phone: %d", status)
	}
	if status := k.post("/api/requests", first.bearer, struct{}{}, nil); status != http.StatusUnauthorized {
		t.Errorf("before the page has confirmed it: %d", status)
	}
	open, err := k.db.Transaction(t.Context(), opened.ID, k.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.factor.ConfirmEnrolment(t.Context(), factors.Scope{}, nil, open.State, factors.Answer{Fields: map[string]string{"check": "x" + check[1:]}}); !errors.Is(err, factors.ErrPending) {
		t.Errorf("a page that showed another number: %v", err)
	}
	_, other := k.pairing(k.owner)
	for what, text := range map[string]string{
		"no ticket": "", "no secret": strings.Split(other, ".")[0] + ".", "another's secret": strings.Split(other, ".")[0] + "." + strings.Split(ticket, ".")[1], "nonsense": "x.y",
	} {
		if _, _, status := k.offered(text); status != http.StatusGone {
			t.Errorf("%s: %d", what, status)
		}
	}
	k.wait(ceremony.TransactionTTL)
	if _, _, status := k.offered(other); status != http.StatusGone {
		t.Errorf("a quarter of an hour later: %d", status)
	}
}

func TestOnlyTheAppIsAnswered(t *testing.T) {
	k := newRig(t)
	h := k.paired(k.owner)
	for what, change := range map[string]func(*http.Request){
		"another site":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"the portal":    func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"a form":        func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
		"no secret":     func(r *http.Request) { r.Header.Del("Authorization") },
		"another's":     func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.Repeat("A", 43)) },
		"a long secret": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.Repeat("A", 10000)) },
	} {
		if status := k.post("/api/requests", h.bearer, struct{}{}, nil, change); status < 400 || status >= 500 {
			t.Errorf("%s: %d", what, status)
		}
	}
	for _, endpoint := range []string{"https://127.0.0.1/x", "https://169.254.169.254/latest/meta-data/", "http://push.example.com/x", "https://[::1]/"} {
		if status := k.post("/api/subscription", h.bearer, map[string]any{"subscription": map[string]any{"endpoint": endpoint, "keys": map[string]string{"p256dh": "x", "auth": "y"}}}, nil); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", endpoint, status)
		}
	}
}

// TestAnAnswerReachesTheOtherNodeWithinASecond asks on one node and approves on
// another: two servers, each with a store of its own over one database. What was
// approved on the second goes on at the first, and is spent there for both.
func TestAnAnswerReachesTheOtherNodeWithinASecond(t *testing.T) {
	k := newRig(t)
	h := k.paired(k.owner)
	a := k.mustAsk(k.owner, "s1")
	second := k.openStore()
	h.k = &rig{Server: &Server{
		Store: second, Origin: k.Origin, SiteName: k.SiteName, Notices: k.Notices, Address: k.Address, Report: k.Report, Now: k.Now,
	}, t: t, db: second, factor: &approval.Factor{Store: second, Origin: appOrigin}}
	q := h.waits()[0]
	tapped := time.Now()
	if out, _ := h.approve(q, a.number); out.Outcome != "approved" {
		t.Fatal(out)
	}
	progress, err := k.factor.Progress(t.Context(), a.state, k.Now())
	if err != nil || progress != factors.ProgressReady {
		t.Errorf("%s %v", progress, err)
	}
	if err := k.verify(a); err != nil {
		t.Errorf("the first node does not go on: %v", err)
	}
	if err := h.k.verify(a); !errors.Is(err, factors.ErrReplayed) {
		t.Errorf("spent at the first node, and at the second: %v", err)
	}
	if open := h.waits(); len(open) != 0 {
		t.Errorf("%d requests still wait at the second node", len(open))
	}
	t.Logf("known to the other node after %s, which looks every 300 ms", time.Since(tapped))
}

func TestTheAppIsWholeAndStrict(t *testing.T) {
	files, err := NewFiles(Look{Name: "O'Neill's <app>", Languages: Languages(), Sites: []Site{{Issuer: "Portal", Origin: portal}}}, func(w http.ResponseWriter, _ *http.Request, status int) {
		w.WriteHeader(status)
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		files.ServeHTTP(w, httptest.NewRequest(http.MethodGet, appOrigin+path, nil))
		return w
	}
	page := get("/")
	if page.Code != http.StatusOK || strings.Contains(page.Body.String(), "<app>") || page.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %s", page.Code, page.Body)
	}
	for _, word := range []string{"unsafe", "https:", "http:", "data:", "*"} {
		if policy := page.Header().Get("Content-Security-Policy"); policy == "" || strings.Contains(policy, word) {
			t.Errorf("the policy %q has %s", policy, word)
		}
	}
	var manifest struct {
		Name  string
		Icons []struct{ Src, Sizes, Purpose string }
	}
	if json.Unmarshal(get("/manifest.webmanifest").Body.Bytes(), &manifest) != nil || manifest.Name != "O'Neill's <app>" || len(manifest.Icons) != 3 {
		t.Errorf("%+v", manifest)
	}
	for _, icon := range manifest.Icons {
		if w := get(icon.Src); w.Code != http.StatusOK || w.Header().Get("Content-Type") != "image/png" {
			t.Errorf("%s: %d", icon.Src, w.Code)
		}
	}
	for _, missing := range []string{"/index.html", "/vendor/qr/LICENSE", "/../server.go", "/nothing"} {
		if w := get(missing); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", missing, w.Code)
		}
	}
	worker := get("/worker.js").Body.String()
	for name := range files.all {
		if name != workerName && !strings.Contains(worker, `"`+name+`"`) {
			t.Errorf("the worker does not keep %s", name)
		}
	}
}

// TestASubscriptionThatIsGoneIsDroppedAndTold lets a service say that it has no
// such phone any more.
func TestASubscriptionThatIsGoneIsDroppedAndTold(t *testing.T) {
	came := make(chan string, 10)
	service := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came <- r.URL.Path
		w.WriteHeader(map[string]int{"/gone": http.StatusGone, "/there": http.StatusCreated}[r.URL.Path])
	}))
	defer service.Close()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: service.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", roots)
	k := newRig(t)
	var err error
	if k.Push, err = push.New(appOrigin, func(n byte) []byte { return bytes.Repeat([]byte{n + 1}, 32) }, []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	k.factor.Wake = k.Server.Wake
	h, second := k.paired(k.owner), k.paired(k.owner)
	browser, _ := ecdh.P256().GenerateKey(rand.Reader)
	text := base64.RawURLEncoding.EncodeToString
	for phone, path := range map[*handset]string{h: "/gone", second: "/there"} {
		status := k.post("/api/subscription", phone.bearer, map[string]any{"subscription": map[string]any{
			"endpoint": service.URL + path, "keys": map[string]string{"p256dh": text(browser.PublicKey().Bytes()), "auth": text(make([]byte, 16))},
		}}, nil)
		if status != http.StatusOK {
			t.Fatalf("subscribe: %d", status)
		}
	}
	a := k.mustAsk(k.owner, "s1")
	if both := []string{<-came, <-came}; !slices.Contains(both, "/gone") || !slices.Contains(both, "/there") {
		t.Errorf("told were %v", both)
	}
	var prompt factors.Prompt
	for deadline := time.Now().Add(90 * time.Second); len(prompt.Unreached) == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if prompt, _, err = k.factor.Prepare(t.Context(), a.scope, k.held(k.owner), a.state, false); err != nil {
			t.Fatal(err)
		}
	}
	if len(prompt.Unreached) != 1 {
		t.Errorf("the page says that %v cannot be told", prompt.Unreached)
	}
	k.mustAsk(k.owner, "s2")
	if path := <-came; path != "/there" {
		t.Errorf("told was %s", path)
	}
}
