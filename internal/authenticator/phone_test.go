package authenticator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/store"
)

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
