package webauthn_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
)

// vector is one of WebAuthn Level 3 §16: an enrolment and a proof with it, at
// https://example.org. All values are hexadecimal.
type vector struct {
	Name         string `json:"name"`
	CredentialID string `json:"credential_id"`
	// Refused is for vectors of frames of another origin, which the standard
	// leaves to the relying party.
	Refused bool              `json:"refused"`
	Create  map[string]string `json:"create"`
	Get     map[string]string `json:"get"`
}

// state is a pending challenge whose bytes are the vector's.
func (f *fixture) fixedState(kind, challenge string) factors.State {
	return must(json.Marshal(map[string]any{
		"kind": kind, "challenge": must(hex.DecodeString(challenge)), "at": f.scope.Now, "user": make([]byte, 64), "account": f.scope.Account.ID,
		"session": f.scope.Session, "site": f.scope.Site, "rp": f.scope.RelyingParty, "purpose": f.scope.Purpose, "transaction": f.scope.Transaction,
	}))
}

// text is the vector's answer as a browser posts it.
func (v vector) text(part map[string]string) string {
	id := b64(must(hex.DecodeString(v.CredentialID)))
	response := map[string]any{}
	for name, value := range part {
		if name != "challenge" {
			response[name] = b64(must(hex.DecodeString(value)))
		}
	}
	return string(must(json.Marshal(map[string]any{
		"id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": map[string]any{},
	})))
}

func TestSpecificationVectors(t *testing.T) {
	var vectors []vector
	if err := json.Unmarshal(must(os.ReadFile("testdata/vectors.json")), &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			f := newFixture(t)
			f.scope.Site, f.scope.RelyingParty = "https://example.org", "example.org"
			c, err := f.ConfirmEnrolment(t.Context(), f.scope, nil, f.fixedState("create", v.Create["challenge"]), answerOf(v.text(v.Create)))
			if v.Refused {
				if !errors.Is(err, factors.ErrWrongAnswer) {
					t.Fatalf("error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.ID, c.Account = account.NewCredentialID(), f.scope.Account.ID
			f.store.kept = append(f.store.kept, c)
			state := f.fixedState("get", v.Get["challenge"])
			verified, err := f.Verify(t.Context(), f.scope, f.held(), state, answerOf(v.text(v.Get)))
			if err != nil || verified.UserVerified {
				t.Fatalf("%+v, %v", verified, err)
			}
			other := f.fixedState("get", v.Create["challenge"])
			if _, err := f.Verify(t.Context(), f.scope, f.held(), other, answerOf(v.text(v.Get))); err == nil {
				t.Error("it answers another challenge too")
			}
		})
	}
}
