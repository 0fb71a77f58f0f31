package caddymodule

import (
	"context"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/authenticator"
	"github.com/stepgate/stepgate/internal/push"
)

// Who releases the store waits for phones that are being told: what came of it
// is kept there.
func TestNoPhoneIsToldAfterTheEnd(t *testing.T) {
	sender, err := push.New("https://auth.example.gov", func(n byte) []byte { return append(make([]byte, 31), n+1) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	app := &App{runtime: &runtime{phones: &authenticator.Server{Push: sender}}}
	begun, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	sender.Later(push.Subscription{}, func(context.Context, error) {
		close(begun)
		<-goOn
	})
	<-begun
	go func() {
		if err := app.Cleanup(); err != nil {
			t.Error(err)
		}
		close(ended)
	}()
	select {
	case <-ended:
		t.Error("it was not waited for")
	case <-time.After(100 * time.Millisecond):
	}
	close(goOn)
	<-ended
}
