package session

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

func TestLastKnowsWhoseASessionWasForEightHoursAfterItsEnd(t *testing.T) {
	for name, row := range map[string]struct {
		// before lets the session come to an end, or live on. After it the
		// browser asks for a page.
		before func(f *fixture, e *Entry, h http.Header)
		want   account.ID
	}{
		"lives":               {func(f *fixture, e *Entry, h http.Header) {}, "joe"},
		"idle for an hour":    {func(f *fixture, e *Entry, h http.Header) { f.clock.move(90 * time.Minute) }, "joe"},
		"idle for a moment":   {func(f *fixture, e *Entry, h http.Header) { f.clock.move(30*time.Minute + Remembered - 1) }, "joe"},
		"idle for too long":   {func(f *fixture, e *Entry, h http.Header) { f.clock.move(30*time.Minute + Remembered) }, ""},
		"absolute limit":      {func(f *fixture, e *Entry, h http.Header) { f.used(h, 12*time.Hour+10*time.Minute) }, "joe"},
		"ended elsewhere":     {func(f *fixture, e *Entry, h http.Header) { f.shelf.EndSession(f.t.Context(), e.Session.ID) }, "joe"},
		"ended and forgotten": {func(f *fixture, e *Entry, h http.Header) { clear(f.shelf.rows) }, ""},
	} {
		f := newFixture(t)
		e, h := f.begin()
		row.before(f, e, h)
		f.hear()
		f.find(h)
		got, err := f.Last(t.Context(), h, place)
		if err != nil || got != row.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, row.want)
		}
	}
}

// used lets time pass with a request every 20 minutes.
func (f *fixture) used(h http.Header, d time.Duration) {
	for ; d > 0; d -= 20 * time.Minute {
		f.later(min(d, 20*time.Minute))
		f.find(h)
	}
}

func TestLastKnowsNobodyByAnotherSitesOrAForgedCookie(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	for name, p := range map[string]Place{
		"another origin": {Origin: "https://other.example.gov", Cookie: place.Cookie, Secure: true},
		"another cookie": {Origin: place.Origin, Cookie: "__Host-other", Secure: true},
	} {
		if got, err := f.Last(t.Context(), h, p); got != "" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	forged := httptest.NewRequest("GET", "/", nil).Header
	forged.Set("Cookie", place.Cookie+"=forged")
	if got, err := f.Last(t.Context(), forged, place); got != "" || err != nil {
		t.Errorf("forged: %q, %v", got, err)
	}
}
