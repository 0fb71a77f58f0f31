package challenge

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

// rigDirectory is a second source of passwords, which answers as it is told.
type rigDirectory struct {
	asked int
	err   error
}

func (d *rigDirectory) Name() string { return "directory" }

func (d *rigDirectory) CheckPassword(context.Context, string, account.Secret) (signin.Identity, error) {
	d.asked++
	return signin.Identity{}, d.err
}

func TestASourceThatIsDownKeepsNobodyOfTheOthersOut(t *testing.T) {
	directory := &rigDirectory{err: errors.New("the directory is down")}
	k := newRig(t, func(k *rig) { k.Passwords = append([]signin.PasswordChecker{directory}, k.Passwords...) })
	k.person("joe")
	b := k.browser()
	if page := b.signIn(k.door(b, "/cases/1", "signed_in"), "joe"); page.to != "/cases/1" {
		t.Errorf("joe of the other source: %d to %q", page.status, page.to)
	}
	stranger := k.browser()
	for range 200 {
		page := stranger.send(stranger.open("/.stepgate/sign-in"), map[string]string{"username": "joe", "password": "wrong"})
		if page.status == http.StatusTooManyRequests {
			return
		}
		if page.status != http.StatusServiceUnavailable || stranger.visitor() != nil {
			t.Fatalf("a password that nobody could judge: %d", page.status)
		}
	}
	t.Error("200 guesses at the other source's account while one is down, and no end")
}

func TestWhyIsToldToWhoGaveTheRightPassword(t *testing.T) {
	directory := &rigDirectory{}
	k := newRig(t, func(k *rig) { k.Passwords = []signin.PasswordChecker{directory} })
	for reason, want := range map[signin.Reason]string{
		signin.PasswordExpired: "has expired", signin.PasswordMustChange: "has to be changed", signin.AccountDisabled: "switched off", signin.NotNow: "at this time", "": "not correct",
	} {
		directory.err = signin.ErrRefused
		if reason != "" {
			directory.err = &signin.Refusal{Reason: reason}
		}
		b := k.browser()
		page := b.send(b.open("/.stepgate/sign-in"), map[string]string{"username": "joe", "password": "x"})
		if page.status != http.StatusForbidden || !strings.Contains(page.text, want) {
			t.Errorf("%s: %d without %q", reason, page.status, want)
		}
	}
}
