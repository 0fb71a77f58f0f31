package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const secretCause = `dial tcp 10.1.2.3:5432: password "hunter2" refused`

// logged is what a handler's errors left in the log.
type logged struct {
	Level              slog.Level
	Message, Reference string
	Err                error
}

func loggingPages(t *testing.T) (*Pages, *[]logged) {
	t.Helper()
	var lines []logged
	k := testKit(t, Options{Log: func(_ context.Context, level slog.Level, message, reference string, err error) {
		lines = append(lines, logged{level, message, reference, err})
	}})
	p, err := k.Parse("sample", sampleFS(t))
	if err != nil {
		t.Fatal(err)
	}
	return p, &lines
}

func TestUnknownErrorIsAPlain500(t *testing.T) {
	p, lines := loggingPages(t)
	cause := errors.New(secretCause)
	h := p.Handle(testSite(), func(http.ResponseWriter, *http.Request) error { return fmt.Errorf("load session: %w", cause) })
	w := httptest.NewRecorder()
	h.ServeHTTP(w, navigation("GET", "/.stepgate/account", ""))
	body := bodyOf(t, w)
	if w.Code != http.StatusInternalServerError || !strings.Contains(body, "Sorry, there is a problem with the service") {
		t.Errorf("%d %s", w.Code, body)
	}
	for _, leak := range []string{"hunter2", "10.1.2.3", "session"} {
		if strings.Contains(body, leak) {
			t.Errorf("page tells %q", leak)
		}
	}
	if len(*lines) != 1 {
		t.Fatalf("logged %v", *lines)
	}
	line := (*lines)[0]
	if line.Level != slog.LevelError || !errors.Is(line.Err, cause) {
		t.Errorf("logged %+v", line)
	}
	if !strings.Contains(body, `data-stepgate="reference">`+line.Reference+"<") {
		t.Errorf("reference %s of the log is not on the page", line.Reference)
	}
}

func TestPanicEndsOnlyItsRequest(t *testing.T) {
	p, lines := loggingPages(t)
	h := p.Handle(testSite(), func(http.ResponseWriter, *http.Request) error { panic(secretCause) })
	w := httptest.NewRecorder()
	h.ServeHTTP(w, navigation("GET", "/", ""))
	if w.Code != http.StatusInternalServerError || strings.Contains(bodyOf(t, w), "hunter2") {
		t.Errorf("%d", w.Code)
	}
	if len(*lines) != 1 || !errors.Is((*lines)[0].Err, errPanicked) {
		t.Errorf("logged %v", *lines)
	}
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("http.ErrAbortHandler was swallowed")
		}
	}()
	p.Handle(testSite(), func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }).
		ServeHTTP(httptest.NewRecorder(), navigation("GET", "/", ""))
}

func TestWhatTheVisitorDidWrongIsNoErrorOfOurs(t *testing.T) {
	p, lines := loggingPages(t)
	p.Handle(testSite(), func(http.ResponseWriter, *http.Request) error { return &Fail{Status: 404} }).
		ServeHTTP(httptest.NewRecorder(), navigation("GET", "/", ""))
	if len(*lines) != 1 || (*lines)[0].Level >= slog.LevelInfo {
		t.Errorf("logged %v", *lines)
	}
}

func TestEveryStatusHasWords(t *testing.T) {
	p := samplePages(t)
	for status := 400; status < 600; status++ {
		for _, lang := range []string{"en", "cy"} {
			r := navigation("GET", "/x?lang="+lang, "")
			w := httptest.NewRecorder()
			p.RenderFail(w, r, testSite(), &Fail{Status: status})
			body := bodyOf(t, w)
			if w.Code != status || strings.Contains(body, "fail.") || !strings.Contains(body, "<h1>") {
				t.Fatalf("%d %s: %s", w.Code, lang, body)
			}
			if !strings.Contains(body, `<html lang="`+lang+`">`) {
				t.Fatalf("%d is not in %s", status, lang)
			}
		}
	}
}

func TestFailWithoutARealStatusIsA500(t *testing.T) {
	for _, status := range []int{0, 200, 303, 999} {
		w := httptest.NewRecorder()
		samplePages(t).RenderFail(w, navigation("GET", "/", ""), testSite(), &Fail{Status: status})
		if w.Code != http.StatusInternalServerError {
			t.Errorf("%d became %d", status, w.Code)
		}
	}
}

func TestFailSaysItsOwnWords(t *testing.T) {
	w := httptest.NewRecorder()
	ref := samplePages(t).RenderFail(w, navigation("GET", "/", ""), testSite(), fmt.Errorf("step up: %w", &Fail{
		Status: 429, Title: "sample.done", Advice: "Use <b>another</b> way.", RetryAfter: 100*time.Second + time.Millisecond, Reference: "AAAAA-BBBBB",
	}))
	body := bodyOf(t, w)
	for _, want := range []string{"<h1>Your phone number was added.</h1>", "Use &lt;b&gt;another&lt;/b&gt; way.", "You can try again in 2 minutes.", "AAAAA-BBBBB"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if ref != "AAAAA-BBBBB" || w.Header().Get("Retry-After") != "101" {
		t.Errorf("reference %q, Retry-After %q", ref, w.Header().Get("Retry-After"))
	}
}

// crowd is an error that knows when it is over.
type crowd struct{}

func (crowd) Error() string           { return "too many" }
func (crowd) ComeBack() time.Duration { return 7 * time.Second }

func TestAnErrorMayTellWhenToComeBack(t *testing.T) {
	p, _ := loggingPages(t)
	busy := fmt.Errorf("compare: %w", crowd{})
	for want, err := range map[string]error{
		"7": &Fail{Status: http.StatusServiceUnavailable, Err: busy},
		"9": &Fail{Status: http.StatusServiceUnavailable, Err: busy, RetryAfter: 9 * time.Second},
		"":  &Fail{Status: http.StatusServiceUnavailable, Err: errors.New("down")},
	} {
		w := httptest.NewRecorder()
		p.RenderFail(w, navigation("GET", "/", ""), testSite(), err)
		if got := w.Header().Get("Retry-After"); w.Code != http.StatusServiceUnavailable || got != want {
			t.Errorf("%v: %d, Retry-After %q, want %q", err, w.Code, got, want)
		}
	}
}

func TestProgramsGetAProblemDocument(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept", "*/*")
	ref := samplePages(t).RenderFail(w, r, testSite(), &Fail{Status: 405, Allow: "POST", Err: errors.New(secretCause)})
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"status": 405.0, "title": "This page cannot be opened that way",
		"detail": "Go back to the page before and use the button there.", "reference": ref,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	h := w.Header()
	if h.Get("Content-Type") != "application/problem+json" || h.Get("Allow") != "POST" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", h)
	}
}

func TestProblemNamesTheLevels(t *testing.T) {
	tests := []struct {
		name         string
		problem      Problem
		authenticate string
		body         string
	}{
		{
			"levels with an age",
			Problem{Status: 401, Levels: []string{"mfa", "fresh_key"}, MaxAge: 10 * time.Minute, ChallengeURL: "/.stepgate/challenge?c=1", Reference: "AAAAA-BBBBB"},
			`Stepgate error="insufficient_user_authentication", acr_values="mfa fresh_key", max_age=600`,
			`{"status":401,"levels":["mfa","fresh_key"],"max_age_s":600,"challenge_url":"/.stepgate/challenge?c=1","reference":"AAAAA-BBBBB"}`,
		},
		{
			"no age",
			Problem{Status: 401, Levels: []string{"signed_in"}},
			`Stepgate error="insufficient_user_authentication", acr_values="signed_in"`,
			`{"status":401,"levels":["signed_in"]}`,
		},
		{
			"names that try to leave the quotes",
			Problem{Status: 401, Levels: []string{`a"b\c` + "\r\nX: y"}},
			`Stepgate error="insufficient_user_authentication", acr_values="a\"b\\cX: y"`,
			`{"status":401,"levels":["a\"b\\c\r\nX: y"]}`,
		},
		{"denied", Problem{Status: 403, Title: "No"}, "", `{"title":"No","status":403}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			tt.problem.Write(w, testSite())
			if got := w.Header().Get("WWW-Authenticate"); got != tt.authenticate {
				t.Errorf("WWW-Authenticate %s", got)
			}
			if diff := cmp.Diff(tt.body+"\n", w.Body.String()); diff != "" {
				t.Error(diff)
			}
			if w.Code != tt.problem.Status || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %v", w.Code, w.Header())
			}
		})
	}
}

func TestReferencesCanBeReadOut(t *testing.T) {
	shape := regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$`)
	seen := map[string]bool{}
	for range 1000 {
		ref := NewReference()
		if !shape.MatchString(ref) || seen[ref] {
			t.Fatalf("reference %q", ref)
		}
		seen[ref] = true
	}
}

// A broken template of the operator must not cost the visitor the answer.
func TestFailSurvivesABrokenErrorPage(t *testing.T) {
	p, lines := loggingPages(t)
	delete(p.kit.own.pages["en"], "fail")
	w := httptest.NewRecorder()
	ref := p.RenderFail(w, navigation("GET", "/", ""), testSite(), &Fail{Status: 503})
	if w.Code != 503 || !strings.Contains(w.Body.String(), ref) || len(*lines) != 1 {
		t.Errorf("%d %s %v", w.Code, w.Body, *lines)
	}
}

func TestNoFailureIsADeadEnd(t *testing.T) {
	p, _ := loggingPages(t)
	for _, status := range []int{400, 403, 404, 405, 409, 410, 413, 415, 429, 500, 502, 503} {
		for _, at := range []string{"/", "/cases/1?q=a%20b", "/.stepgate/challenge"} {
			for _, method := range []string{"GET", "POST"} {
				w := httptest.NewRecorder()
				p.RenderFail(w, navigation(method, at, ""), testSite(), &Fail{Status: status})
				_, body, _ := strings.Cut(bodyOf(t, w), "<main")
				if links := regexp.MustCompile(`href="(/[^"]*)"`).FindAllStringSubmatch(body, -1); len(links) == 0 {
					t.Errorf("%s %s with %d names no next step", method, at, status)
				}
			}
		}
	}
}

// Asking again for what cannot be had leads nowhere.
func TestAFailureLeadsBackWhereThereIsAWay(t *testing.T) {
	p, _ := loggingPages(t)
	w := httptest.NewRecorder()
	p.RenderFail(w, navigation("GET", "/.stepgate/account/password", ""), testSite(), &Fail{Status: 409, Back: "/.stepgate/account"})
	body := bodyOf(t, w)
	if !strings.Contains(body, `href="/.stepgate/account"`) || strings.Contains(body, "Try again") {
		t.Error(body)
	}
}
