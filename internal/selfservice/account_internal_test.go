package selfservice

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// textID is what a text that does not exist looks like on a page.
var textID = regexp.MustCompile(`\b(account|credential|done|way|with|activity|two-factor|session|tokens?|contact|error|confirm|remove|default|revoke|add)\.[a-z_]+[a-z_.-]*\b`)

func TestPagesSpeakAllLanguagesAlike(t *testing.T) {
	if err := errors.Join(web.CheckTexts(Templates()), web.CheckTemplates(Templates())); err != nil {
		t.Error(err)
	}
	kit, err := web.New(web.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := kit.Parse("selfservice", Templates(), PageNames...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range activityNames {
		for _, language := range []string{"en", "cy"} {
			if id := "activity." + string(name); pages.TextIn(language, id, "way", "x") == id {
				t.Errorf("%s has no words for %s", language, name)
			}
		}
	}
	for _, done := range dones {
		if pages.TextIn("en", "done."+done) == "done."+done {
			t.Errorf("no words for what was done: %s", done)
		}
	}
	for _, f := range policy.Factors() {
		for _, id := range []string{"way." + string(f), "with." + string(f)} {
			if pages.TextIn("cy", id) == id {
				t.Errorf("no words for %s", id)
			}
		}
	}
	err = pages.CheckViews(map[string]any{
		"account": accountView{}, "add": addView{}, "confirm": confirmView{}, "rename": renameView{}, "password": passwordView{}, "contact": contactView{},
		"activity": activityView{}, "not-me": notMeView{}, "tokens": tokensView{}, "token": tokenView{},
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnAccountIsShownOnOnePage(t *testing.T) {
	k := newRig(t, withTokens)
	jo := k.person("jo", policy.TOTP, policy.SMS, policy.BackupCode)
	b := k.browser(jo, policy.TOTP)
	k.browser(jo)
	s := b.get("")
	for _, want := range []string{
		"jo@example.test", "&#43;447700900609", "My totp", "Asked for first", "My sms", "Get new codes", "Firefox on Windows", "This browser", "Sign out everywhere else",
		"Tokens for programs", "Leeds", "Switch it on", "/account/remove?credential=jo-totp",
	} {
		if !strings.Contains(s.text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if id := textID.FindString(strings.ReplaceAll(s.text, "/.stepgate/", "")); s.status != http.StatusOK || id != "" {
		t.Errorf("%d, and no words for %s:\n%s", s.status, id, s.text)
	}
	for _, page := range []string{"/add", "/activity", "/tokens", "/password"} {
		k.proved["password"] = true
		if got := b.get(page); got.status != http.StatusOK {
			t.Errorf("%s: %d\n%s", page, got.status, got.text)
		}
	}
}

// TestNamesOfOursAreInThePagesLanguage has a credential that was added on an
// English page.
func TestNamesOfOursAreInThePagesLanguage(t *testing.T) {
	k := newRig(t, policy.Config{Default: []string{policy.LevelMFA}})
	k.Web.Languages = []string{"en", "cy"}
	jo := k.person("jo", policy.TOTP)
	k.update(func(ctx context.Context, tx store.Tx) error {
		return tx.InsertCredential(ctx, account.Credential{
			ID: "key", Account: jo.ID, Factor: string(policy.WebAuthn), Label: "Security key 1", CreatedAt: k.clock(),
		})
	})
	b := k.browser(jo, policy.TOTP)
	for language, name := range map[string]string{"en": "Security key 1", "cy": "Allwedd ddiogelwch 1"} {
		for _, page := range []string{"?lang=", "/rename?credential=key&lang="} {
			k.proved["rename-credential key"] = true
			if s := b.get(page + language); !strings.Contains(s.text, name) || !strings.Contains(s.text, "My totp") && strings.HasPrefix(page, "?") {
				t.Errorf("%s%s: %d, no %s\n%s", page, language, s.status, name, s.text)
			}
		}
	}
}

// TestAPasswordAloneShowsNoAddresses has a browser that has not proved the
// second factor that its person holds.
func TestAPasswordAloneShowsNoAddresses(t *testing.T) {
	k := newRig(t, signedIn)
	s := k.browser(k.person("jo", policy.TOTP)).get("")
	if strings.Contains(s.text, "jo@example.test") || strings.Contains(s.text, "+447700900609") || !strings.Contains(s.text, "j…@example.test") || !strings.Contains(s.text, "…609") {
		t.Errorf("%d:\n%s", s.status, s.text)
	}
}

// changes are the forms that change something: page, operation and fields.
var changes = []struct {
	page, once string
	fields     []string
}{
	{"/rename?credential=jo-totp", "rename-credential jo-totp", []string{"label", "Blue phone"}},
	{"/default?credential=jo-sms", "default-credential jo-sms", nil},
	{"/remove?credential=jo-sms", "remove-credential jo-sms", nil},
	{"/two-factor", "two-factor on", nil},
	{"/password", "password", []string{"password", rigPassword, "new_password", "another good one"}},
	{"/tokens/new", "new-token", []string{"label", "Script", "paths", "/dav/*"}},
}

func TestEachChangeNeedsAProofOfItsOwn(t *testing.T) {
	k := newRig(t, withTokens)
	jo := k.person("jo", policy.TOTP, policy.SMS)
	b := k.browser(jo, policy.TOTP)
	before, beforeAccount := k.credentials(jo), k.account(jo.ID)
	for _, c := range changes {
		k.proved = map[string]bool{"something else": true}
		for _, s := range []sheet{b.get(c.page), b.post(c.page, c.fields...)} {
			if s.status != http.StatusSeeOther || s.to != "/.stepgate/challenge" {
				t.Errorf("%s: %d to %q without a proof", c.page, s.status, s.to)
			}
		}
		if asked := k.asked[len(k.asked)-1]; asked.Once != c.once || !strings.HasPrefix(asked.Page, "/.stepgate/account"+strings.SplitN(c.page, "?", 2)[0]) {
			t.Errorf("%s asks for %+v", c.page, asked)
		}
	}
	for _, page := range []string{"/email", "/mobile"} {
		if s := b.post(page, "action", "send", "email", "a@example.test", "mobile", "07700900001"); s.to != "/.stepgate/challenge" || len(k.mail.sent) > 0 {
			t.Errorf("%s: %d to %q, %d codes", page, s.status, s.to, len(k.mail.sent))
		}
	}
	if k.credentials(jo) != before || k.account(jo.ID).Version != beforeAccount.Version {
		t.Errorf("something was changed: %s", k.credentials(jo))
	}
	if told := k.posted(); told != "" {
		t.Errorf("told of %s", told)
	}
}

// TestChangesAreDoneOnceAndTold does each with its proof, and again with the
// same form, whose proof is spent.
func TestChangesAreDoneOnceAndTold(t *testing.T) {
	k := newRig(t, withTokens)
	jo := k.person("jo", policy.TOTP, policy.SMS)
	b := k.browser(jo, policy.TOTP)
	for _, c := range changes {
		k.proved[c.once] = true
		if s := b.get(c.page); s.status != http.StatusOK {
			t.Fatalf("%s: %d", c.page, s.status)
		}
		s := b.post(c.page, c.fields...)
		if s.status != http.StatusSeeOther && c.once != "new-token" || s.status != http.StatusOK && c.once == "new-token" || s.to == "/.stepgate/challenge" {
			t.Errorf("%s: %d to %q\n%s", c.page, s.status, s.to, s.text)
		}
		if told := k.posted(); !strings.HasPrefix(told, "email jo@example.test Portal: ") || strings.Contains(told, "\n") {
			t.Errorf("%s is told as %q", c.page, told)
		}
		if c.page == "/two-factor" { // the next would switch it off again
			continue
		}
		if again := b.post(c.page, c.fields...); again.status != http.StatusSeeOther && again.status != http.StatusNotFound || k.posted() != "" {
			t.Errorf("%s again: %d to %q", c.page, again.status, again.to)
		}
	}
	if got := k.credentials(jo); !strings.Contains(got, "jo-totp=Blue phone") || strings.Contains(got, "jo-sms") || strings.Count(got, "=") != 2 {
		t.Errorf("credentials are %s", got)
	}
	if !k.account(jo.ID).TwoFactor {
		t.Error("two-factor sign-in is off")
	}
	if hash, _ := k.db.PasswordHash(t.Context(), jo.ID); hash != "hash of another good one" {
		t.Errorf("the password is %q", hash)
	}
}

func TestTheLastThatALevelNeedsStays(t *testing.T) {
	for name, c := range map[string]struct {
		config policy.Config
		held   []policy.Factor
		remove policy.Factor
		may    bool
	}{
		"the only one, and mfa is asked for":      {mfaEverywhere, []policy.Factor{policy.TOTP}, policy.TOTP, false},
		"codes of a list are none":                {mfaEverywhere, []policy.Factor{policy.TOTP, policy.BackupCode}, policy.TOTP, false},
		"e-mail is none either":                   {mfaEverywhere, []policy.Factor{policy.TOTP, policy.Email}, policy.TOTP, false},
		"one of two":                              {mfaEverywhere, []policy.Factor{policy.TOTP, policy.SMS}, policy.TOTP, true},
		"a private device":                        {mfaEverywhere, []policy.Factor{policy.DevicePIN}, policy.DevicePIN, true},
		"the list itself":                         {mfaEverywhere, []policy.Factor{policy.TOTP, policy.BackupCode}, policy.BackupCode, true},
		"the only one, and nothing asks for it":   {signedIn, []policy.Factor{policy.TOTP}, policy.TOTP, true},
		"the only key, and a rule asks for a key": {policy.Config{Default: []string{policy.LevelMFA}, Rules: []policy.RuleConfig{{Verb: policy.VerbRequire, Levels: []string{policy.LevelPhishingResistant}, Patterns: []string{"/x/*"}}}}, []policy.Factor{policy.WebAuthn, policy.TOTP}, policy.WebAuthn, false},
		"a rule for others asks for a key":        {policy.Config{Default: []string{policy.LevelMFA}, Rules: []policy.RuleConfig{{Verb: policy.VerbRequire, Groups: []string{"admins"}, Levels: []string{policy.LevelPhishingResistant}, Patterns: []string{"/x/*"}}}}, []policy.Factor{policy.WebAuthn, policy.TOTP}, policy.WebAuthn, true},
		"one proof for one request":               {policy.Config{Default: []string{policy.LevelSignedIn}, Levels: []policy.LevelConfig{{Name: "seal", Accept: [][]policy.Factor{{policy.TOTP}}, Once: true}}, Rules: []policy.RuleConfig{{Verb: policy.VerbRequire, Levels: []string{"seal"}, Patterns: []string{"/x"}}}}, []policy.Factor{policy.TOTP, policy.SMS}, policy.TOTP, false},
	} {
		k := newRig(t, c.config)
		jo := k.person("jo", c.held...)
		b := k.browser(jo, c.held[0])
		id := "jo-" + string(c.remove)
		k.proved["remove-credential "+id] = true
		s := b.post("/remove?credential=" + id)
		if gone := !strings.Contains(k.credentials(jo), id); gone != c.may || !c.may && s.status != http.StatusConflict {
			t.Errorf("%s: gone: %v, %d", name, gone, s.status)
		}
		if offers := strings.Contains(s.text, `/account/add">Add another way</a>`); offers == c.may {
			t.Errorf("%s: offers to add another: %v\n%s", name, offers, s.text)
		}
	}
}

// TestWhatWasProvedEndsWithItsCredential removes the app by which another
// browser has its second factor.
func TestWhatWasProvedEndsWithItsCredential(t *testing.T) {
	k := newRig(t, signedIn)
	jo := k.person("jo", policy.TOTP, policy.SMS)
	b, other := k.browser(jo, policy.SMS), k.browser(jo, policy.TOTP)
	k.proved["remove-credential jo-totp"] = true
	if s := b.post("/remove?credential=jo-totp"); s.status != http.StatusSeeOther {
		t.Fatal(s.status)
	}
	all, err := k.db.SessionsOf(t.Context(), jo.ID, k.clock())
	if err != nil || len(all) != 2 {
		t.Fatalf("%d sessions, %v", len(all), err)
	}
	for _, one := range all {
		has := slices.ContainsFunc(one.Proofs, func(p policy.Proof) bool { return p.Factor == policy.TOTP })
		if has || one.ID == other.entry.Session.ID && len(one.Proofs) != 1 {
			t.Errorf("a session still has %+v", one.Proofs)
		}
	}
}

func TestNobodyReachesWhatIsAnothers(t *testing.T) {
	k := newRig(t, withTokens)
	jo, eve := k.person("jo", policy.TOTP, policy.SMS), k.person("eve", policy.TOTP)
	b, theirs := k.browser(eve, policy.TOTP), k.browser(jo)
	before := k.credentials(jo)
	for _, page := range []string{"/rename?credential=jo-totp", "/default?credential=jo-sms", "/remove?credential=jo-sms", "/tokens/revoke?credential=jo-totp"} {
		for _, once := range []string{"rename-credential jo-totp", "default-credential jo-sms", "remove-credential jo-sms", "revoke-token jo-totp"} {
			k.proved[once] = true
		}
		for _, s := range []sheet{b.get(page), b.post(page, "label", "Eve's")} {
			if s.status != http.StatusNotFound {
				t.Errorf("%s: %d", page, s.status)
			}
		}
	}
	if s := b.post("/sessions", "action", "end", "session", string(theirs.entry.Session.ID)); s.status != http.StatusNotFound {
		t.Errorf("another's session: %d", s.status)
	}
	if all, _ := k.db.SessionsOf(t.Context(), jo.ID, k.clock()); len(all) != 1 || k.credentials(jo) != before {
		t.Errorf("%d sessions, %s", len(all), k.credentials(jo))
	}
}

// TestForgedFormsDoNothing sends every form that changes something without its
// token, with another person's, and from another site.
func TestForgedFormsDoNothing(t *testing.T) {
	k := newRig(t, withTokens)
	jo, eve := k.person("jo", policy.TOTP, policy.SMS, policy.Token, policy.DevicePIN), k.person("eve")
	b, hers, third := k.browser(jo, policy.TOTP), k.browser(eve), k.browser(jo)
	before, was := k.credentials(jo), k.account(jo.ID)
	forms := slices.Clone(changes)
	for _, more := range [][]string{
		{"/sessions", "action", "end-others"}, {"/sessions", "action", "end", "session", string(third.entry.Session.ID)}, {"/not-me", "record", "1"},
		{"/email", "action", "send", "email", "eve@example.test"}, {"/mobile", "action", "send", "mobile", "07700900001"},
		{"/tokens/revoke?credential=jo-token"}, {"/remove?credential=jo-device_pin"},
	} {
		forms = append(forms, struct {
			page, once string
			fields     []string
		}{more[0], "", more[1:]})
	}
	proved := map[string]bool{"contact email": true, "contact mobile": true, "revoke-token jo-token": true, "remove-credential jo-device_pin": true}
	for _, c := range forms {
		k.proved = maps.Clone(proved)
		k.proved[c.once] = true
		form := url.Values{}
		for i := 0; i < len(c.fields); i += 2 {
			form.Set(c.fields[i], c.fields[i+1])
		}
		good := k.Guard.Token(binding(b.entry))
		for name, forge := range map[string]func(*http.Request){
			"no token":        func(r *http.Request) {},
			"another's token": func(r *http.Request) { replaceToken(r, form, k.Guard.Token(binding(hers.entry))) },
			"another site":    func(r *http.Request) { replaceToken(r, form, good); r.Header.Set("Sec-Fetch-Site", "cross-site") },
			"a frame":         func(r *http.Request) { replaceToken(r, form, good); r.Header.Set("Sec-Fetch-Dest", "iframe") },
			"a script":        func(r *http.Request) { replaceToken(r, form, good); r.Header.Set("Sec-Fetch-Mode", "cors") },
			"another origin": func(r *http.Request) {
				replaceToken(r, form, good)
				r.Header.Del("Sec-Fetch-Site")
				r.Header.Set("Origin", "https://evil.example")
			},
		} {
			r := b.Request(http.MethodPost, "/.stepgate/account"+c.page, form)
			forge(r)
			if s := b.do(r); s.status != http.StatusForbidden {
				t.Errorf("%s, %s: %d", c.page, name, s.status)
			}
		}
	}
	all, _ := k.db.SessionsOf(t.Context(), jo.ID, k.clock())
	if k.credentials(jo) != before || k.account(jo.ID).Version != was.Version || len(all) != 2 || len(k.mail.sent) > 0 || k.posted() != "" {
		t.Errorf("something was done: %s, %d sessions", k.credentials(jo), len(all))
	}
}

func replaceToken(r *http.Request, form url.Values, token string) {
	with := url.Values{"csrf_token": {token}}
	for name, values := range form {
		with[name] = values
	}
	body := with.Encode()
	r.Body, r.ContentLength = http.NoBody, int64(len(body))
	r.Body = readCloser{strings.NewReader(body)}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestSessionsEndOneByOneAndTogether(t *testing.T) {
	k := newRig(t, signedIn)
	jo := k.person("jo")
	b, second := k.browser(jo), k.browser(jo)
	k.browser(jo)
	if s := b.post("/sessions", "action", "end", "session", string(second.entry.Session.ID)); s.to != "/.stepgate/account?done=session" {
		t.Errorf("%d to %q", s.status, s.to)
	}
	if all, _ := k.db.SessionsOf(t.Context(), jo.ID, k.clock()); len(all) != 2 {
		t.Errorf("%d sessions", len(all))
	}
	if s := second.get(""); s.to != "/.stepgate/sign-in" {
		t.Errorf("the ended session is %d to %q", s.status, s.to)
	}
	if s := b.post("/sessions", "action", "end-others"); s.to != "/.stepgate/account?done=others" {
		t.Errorf("%d to %q", s.status, s.to)
	}
	if all, _ := k.db.SessionsOf(t.Context(), jo.ID, k.clock()); len(all) != 1 || all[0].ID != b.entry.Session.ID {
		t.Errorf("%d sessions", len(all))
	}
}

func TestThisWasNotMeEndsTheOthers(t *testing.T) {
	k := newRig(t, signedIn)
	jo := k.person("jo")
	b := k.browser(jo)
	k.browser(jo)
	if _, err := k.db.AppendEvent(t.Context(), audit.Event{At: k.clock(), Name: audit.LoginSuccess, Account: string(jo.ID), Actor: string(jo.ID), Address: "192.0.2.7", Site: rigOrigin}); err != nil {
		t.Fatal(err)
	}
	if s := b.get("/activity"); !strings.Contains(s.text, "Signed in with a password") || !strings.Contains(s.text, "from Leeds") || !strings.Contains(s.text, `name="record" value="1"`) {
		t.Errorf("%d:\n%s", s.status, s.text)
	}
	s := b.post("/not-me", "record", "1")
	if s.to != "/.stepgate/account/not-me" {
		t.Fatalf("%d to %q", s.status, s.to)
	}
	if s := b.get("/not-me"); s.status != http.StatusOK || !strings.Contains(s.text, "Ask for help") || !strings.Contains(s.text, "/account/password") {
		t.Errorf("%d:\n%s", s.status, s.text)
	}
	all, _ := k.db.SessionsOf(t.Context(), jo.ID, k.clock())
	events, _ := k.db.Events(t.Context(), audit.Query{Limit: 1})
	if len(all) != 1 || events[0].Event.Name != audit.ActivityDisowned || !strings.Contains(k.posted(), "not you") {
		t.Errorf("%d sessions, %s", len(all), events[0].Event.Name)
	}
}
