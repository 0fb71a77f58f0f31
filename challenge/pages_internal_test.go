package challenge

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// textID is what a text that does not exist looks like on a page.
var textID = regexp.MustCompile(`\b(code|address|error|enrol|sending|operation)\.[a-z_]+(\.[a-z_]+)*\b`)

var parsed = sync.OnceValues(func() (*web.Pages, error) {
	kit, err := web.New(web.Options{})
	if err != nil {
		return nil, err
	}
	return kit.Parse("challenge", Templates(), PageNames...)
})

// rendered is a page of the set, as a visitor gets it.
func rendered(t *testing.T, name string, view any) string {
	t.Helper()
	pages, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "https://portal.example.gov/.stepgate/challenge/sms", nil)
	if err := pages.Render(w, r, &web.Site{Name: "Portal", Origin: "https://portal.example.gov"}, http.StatusOK, name, view); err != nil {
		t.Fatal(err)
	}
	return w.Body.String()
}

func TestPagesSpeakAllLanguagesAlike(t *testing.T) {
	if err := errors.Join(web.CheckTexts(Templates()), web.CheckTemplates(Templates())); err != nil {
		t.Error(err)
	}
}

func TestPagesOfCodesHaveAllTheirTexts(t *testing.T) {
	for _, kind := range []policy.Factor{policy.SMS, policy.Email} {
		for _, view := range []promptView{
			{Prompt: factors.Prompt{}},
			{Prompt: factors.Prompt{MayResend: true}},
			{Prompt: factors.Prompt{Sent: true, MayResend: true, ResendAfterS: 30, LifetimeMin: 10}},
			{Prompt: factors.Prompt{Sent: true, LifetimeMin: 1}, Enrolling: true},
			{Prompt: factors.Prompt{Sent: true, LifetimeMin: 1}, Others: "/challenge"},
		} {
			view.Shape, view.Factor, view.Destination, view.Action = factors.ShapeCode, kind, "ending 609", "/challenge/"+string(kind)
			page := rendered(t, pageOf(view.Prompt), &view)
			if id := textID.FindString(page); id != "" {
				t.Errorf("%s has no text %s", kind, id)
			}
			for what, want := range map[string]bool{
				`name="code"`: view.Sent, `value="send"`: !view.Sent && view.MayResend, `value="resend"`: view.Sent && view.MayResend,
				"use another way or": view.Others != "", `data-countdown="30"`: view.ResendAfterS > 0, `value="new"`: view.Enrolling,
			} {
				if strings.Contains(page, what) != want {
					t.Errorf("%s: %+v: %s is there: %v", kind, view.Prompt, what, !want)
				}
			}
		}
	}
	for _, field := range []string{"mobile", "email"} {
		prompt := factors.Prompt{Shape: factors.ShapeAddress, Field: field}
		page := rendered(t, pageOf(prompt), &promptView{Prompt: prompt})
		if id := textID.FindString(page); id != "" {
			t.Errorf("%s has no text %s", field, id)
		}
	}
}

func TestEveryPageRendersWithNothingToSayAndWithAll(t *testing.T) {
	asked := purpose{Operation: "operation.enrol.webauthn", Method: "GET", Target: "/x"}
	prompt := promptView{Prompt: factors.Prompt{Factor: policy.BackupCode, Options: []byte("{}")}, Purpose: asked, Others: "/", Enrolling: true}
	for name, views := range map[string][]any{
		"sign-in":    {&signInView{}, &signInView{Done: "done.enrolled", Options: "{}", Invitation: "x"}, &signInView{Domains: []string{"council.gov"}}, &signInView{Passwords: true, Domains: []string{"council.gov"}}},
		"stale":      {&staleView{Reason: signin.PasswordExpired}, &staleView{Reason: signin.PasswordMustChange}},
		"choose":     {&chooseView{}, &chooseView{Purpose: asked, Ways: []way{{Factor: policy.TOTP, Label: "x"}}}},
		"enrol":      {&chooseView{}},
		"code":       {&promptView{}},
		"address":    {&promptView{}},
		"paper":      {&promptView{}, &prompt},
		"secret":     {&promptView{}, &prompt},
		"ceremony":   {&promptView{}, &prompt},
		"list":       {&listView{}, &listView{Codes: []string{"a", "b"}, First: true}},
		"stuck":      {&stuckView{}, &stuckView{Text: "stuck.waiting", From: time.Now()}},
		"lost":       {&lostView{}, &lostView{TooLong: true}},
		"continue":   {&continueView{}, &continueView{Request: kept.Request{Head: kept.Head{Content: kept.Content{Fields: []string{"a", "b"}, Files: []string{"c"}}}}}},
		"onward":     {&onwardView{Site: "https://cases.example", To: "https://cases.example/.stepgate/joined?state=s&code=c#"}},
		"leaving":    {&leavingView{}, &leavingView{To: "/.stepgate/sign-in?c=x&place=", Place: "X", Elsewhere: "the county"}},
		"returned":   {&leavingView{}, &leavingView{To: "/.stepgate/sign-in?c=x", Place: "X"}},
		"over":       {&overView{}, &overView{Text: "gone"}, &overView{Text: "other"}, &overView{Text: "continued"}, &overView{Text: "large"}},
		"window":     {&windowView{}},
		"sign-out":   {&signOutView{}},
		"signed-out": {&signOutView{}},
	} {
		for _, view := range views {
			rendered(t, name, view)
		}
	}
	for _, f := range policy.Factors() {
		page := rendered(t, "choose", &chooseView{Purpose: purpose{Operation: "operation.enrol." + string(f)}, Ways: []way{{Factor: f}}})
		if id := textID.FindString(page); id != "" && f != policy.Password && f != policy.TemporaryCode && f != policy.Token {
			t.Errorf("%s has no text %s", f, id)
		}
		page = rendered(t, "choose", &chooseView{Purpose: purpose{Operation: "operation.remove." + string(f)}})
		if id := textID.FindString(page); id != "" && f != policy.Password && f != policy.TemporaryCode && f != policy.Token {
			t.Errorf("the removal of %s has no text %s", f, id)
		}
	}
	for _, operation := range []string{"rename", "default", "two-factor.on", "two-factor.off"} {
		if id := textID.FindString(rendered(t, "choose", &chooseView{Purpose: purpose{Operation: "operation." + operation}})); id != "" {
			t.Errorf("%s has no text %s", operation, id)
		}
	}
}

func TestErrorsStandAtTheFieldOfTheirPage(t *testing.T) {
	for name, c := range map[string]struct {
		prompt      factors.Prompt
		err         error
		field, text string
	}{
		"a bad number":           {factors.Prompt{Shape: factors.ShapeAddress, Field: "mobile"}, factors.ErrBadAddress, "mobile", "error.address.mobile"},
		"a number that is taken": {factors.Prompt{Shape: factors.ShapeAddress, Field: "mobile"}, factors.ErrTaken, "mobile", "error.taken"},
		"a wrong code":           {factors.Prompt{Shape: factors.ShapeCode, Destination: "ending 609", Sent: true}, factors.ErrWrongAnswer, "code", "error.wrong"},
		"an old code":            {factors.Prompt{Shape: factors.ShapeCode, Destination: "ending 609"}, factors.ErrExpired, "", "error.expired"},
		"the last wrong code":    {factors.Prompt{Shape: factors.ShapeCode, Destination: "ending 609"}, factors.ErrWrongAnswer, "", "error.tries"},
		"an app's code":          {factors.Prompt{Shape: factors.ShapeCode}, factors.ErrWrongAnswer, "code", "error.wrong"},
	} {
		got := errorsOf(c.prompt, answerError(policy.SMS, c.err))
		if len(got) != 1 || got[0].Field != c.field || got[0].Text != c.text {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestTheButtonLeadsToTheVeryBytesOfTheTarget has bytes in the target that
// html/template would write in another way.
func TestTheButtonLeadsToTheVeryBytesOfTheTarget(t *testing.T) {
	const target = "/a(1)'|^{}%zz/%2e\"><script>?q=%27&b=';--&c=%"
	page := rendered(t, "continue", &continueView{Action: actionOf(target), Request: kept.Request{ID: "ID"}})
	document, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range document.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" {
			for _, a := range n.Attr {
				if a.Key == "action" && a.Val == target {
					return
				}
			}
		}
	}
	t.Errorf("no form leads to %s:\n%s", target, page)
}
