package caddymodule

import (
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/keys"
)

// TestARotationSignsNobodyOut rotates while somebody is half way through a
// challenge and somebody is in, and then as another node does it, by the file
// and a reload.
func TestARotationSignsNobodyOut(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	in := g.browser()
	in.enrol(in.signIn(in.get("/cases/1"), "joe").atEnrolment())
	in.get("/cases/1").want(200, "/cases/1")
	half := g.browser()
	asked := half.signIn(half.get("/cases/7"), "joe").at("/challenge/totp")

	ring := active.Load().keys
	if err := ring.Rotate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	in.get("/cases/1").want(200, "/cases/1")
	half.secret, half.used = in.secret, in.used
	half.submit(asked, "code", map[string]string{"code": half.code()}).want(200, "/cases/7")
	if got := len(ring.List()); got != 2 {
		t.Errorf("%d keys", got)
	}

	other, err := keys.Load(ring.from.File)
	if err == nil {
		_, err = other.Rotate(ring.from.File, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	g.load(walkSite)
	if got := len(ring.List()); got != 3 || !ring.List()[2].Primary {
		t.Errorf("after the reload: %+v", ring.List())
	}
	in.get("/cases/1").want(200, "/cases/1")
	half.get("/cases/1").want(200, "/cases/1")
	known, err := active.Load().store.Keys(t.Context())
	if err != nil || len(known) != 3 {
		t.Errorf("the store knows %d keys, %v", len(known), err)
	}
}
