package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const metLevels = `
level fresh { accept totp sms; max_age 10m }
level two { accept security_questions+pin sms+pin }
level keys { accept webauthn+webauthn }
level relogin { accept password; max_age 30m }
level token { accept device_pin }
level pay { accept webauthn totp; once }
level sign { accept webauthn; once }
`

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func TestMet(t *testing.T) {
	p := policyOf(t, metLevels)
	password := Proof{Factor: Password, At: ago(time.Hour)}
	key := Proof{Factor: WebAuthn, Credential: "k", At: ago(time.Minute), UserVerified: true}
	touch := Proof{Factor: WebAuthn, Credential: "t", At: ago(time.Minute)}
	totp := func(age time.Duration) Proof { return Proof{Factor: TOTP, Credential: "o", At: ago(age)} }
	pin := Proof{Factor: PIN, Credential: "p", At: ago(time.Minute)}
	sms := Proof{Factor: SMS, Credential: "s", At: ago(time.Hour)}
	tests := []struct {
		name   string
		proofs []Proof
		want   string
	}{
		{"the sign-in alone", []Proof{password}, "signed_in"},
		{"a fresh sign-in", []Proof{{Factor: Password, At: ago(30 * time.Minute)}}, "signed_in relogin"},
		{"a second factor", []Proof{password, totp(time.Minute)}, "signed_in mfa fresh"},
		{"at the very age", []Proof{password, totp(10 * time.Minute)}, "signed_in mfa fresh"},
		{"past the age", []Proof{password, totp(10*time.Minute + 1)}, "signed_in mfa"},
		{"an old sign-in does not age the rest", []Proof{{Factor: Password, At: ago(1000 * time.Hour)}, totp(0)}, "signed_in mfa fresh"},
		{"e-mail is not in mfa", []Proof{password, {Factor: Email, Credential: "e", At: noon}}, "signed_in"},
		{"knowledge is not in mfa", []Proof{password, pin, {Factor: SecurityQuestions, Credential: "q", At: noon}}, "signed_in two"},
		{"half of what is needed together", []Proof{password, pin}, "signed_in"},
		{"the other way", []Proof{password, pin, sms}, "signed_in mfa two"},
		{"backup codes", []Proof{password, {Factor: BackupCode, Credential: "b", At: noon}}, "signed_in mfa"},
		{"temporary codes", []Proof{password, {Factor: TemporaryCode, Credential: "c", At: noon}}, "signed_in mfa"},
		{"a passkey is sign-in and proof", []Proof{key}, "signed_in mfa phishing_resistant"},
		{"a touch beside the password", []Proof{password, touch}, "signed_in mfa phishing_resistant"},
		{"a touch of the key that signed in", []Proof{{Factor: WebAuthn, Credential: "t", At: ago(time.Hour), UserVerified: true}, touch}, "signed_in mfa phishing_resistant"},
		{"a touch alone is no sign-in", []Proof{touch}, "signed_in"},
		{"a touch beside a code is no sign-in", []Proof{touch, totp(0)}, "signed_in mfa fresh"},
		{"two keys", []Proof{key, touch}, "signed_in mfa phishing_resistant keys"},
		{"one key twice", []Proof{password, touch, {Factor: WebAuthn, Credential: "t", At: noon}}, "signed_in mfa phishing_resistant"},
		{"one key twice, once verified", []Proof{touch, {Factor: WebAuthn, Credential: "t", At: noon, UserVerified: true}}, "signed_in mfa phishing_resistant"},
		{"one credential for two factors", []Proof{password, {Factor: PIN, Credential: "x", At: noon}, {Factor: SMS, Credential: "x", At: noon}}, "signed_in mfa fresh"},
		{"a soft token made under the password", []Proof{password, {Factor: DevicePIN, Credential: "d", At: noon, BoundBy: []Factor{Password}}}, "signed_in token"},
		{"a soft token made under knowledge", []Proof{password, {Factor: DevicePIN, Credential: "d", At: noon, BoundBy: []Factor{SecurityQuestions, PIN, BackupCode}}}, "signed_in token"},
		{"a soft token made under a soft token", []Proof{password, {Factor: DevicePIN, Credential: "d", At: noon, BoundBy: []Factor{DevicePIN}}}, "signed_in token"},
		{"a soft token made under a second factor", []Proof{password, {Factor: DevicePIN, Credential: "d", At: noon, BoundBy: []Factor{Password, SMS}}}, "signed_in mfa token"},
		{"a credential that counts later", []Proof{password, {Factor: TOTP, Credential: "o", At: noon, BoundBy: []Factor{Password}, CountsFrom: noon.Add(time.Hour)}}, "signed_in"},
		{"a credential that counts now", []Proof{password, {Factor: TOTP, Credential: "o", At: noon, BoundBy: []Factor{Password}, CountsFrom: noon}}, "signed_in mfa fresh"},
		{"bound by what meets some level", []Proof{password, {Factor: WebAuthn, Credential: "k", At: noon, BoundBy: []Factor{Password, TOTP}, CountsFrom: noon.Add(time.Hour)}}, "signed_in mfa"},
		{"bound by what meets both", []Proof{password, {Factor: WebAuthn, Credential: "k", At: noon, BoundBy: []Factor{Password, WebAuthn}, CountsFrom: noon.Add(time.Hour)}}, "signed_in mfa phishing_resistant"},
		{"bound by a soft token of unknown making", []Proof{password, {Factor: TOTP, Credential: "o", At: noon, BoundBy: []Factor{DevicePIN}, CountsFrom: noon.Add(time.Hour)}}, "signed_in"},
		{"bound by one key where two are needed", []Proof{key, {Factor: WebAuthn, Credential: "n", At: noon, BoundBy: []Factor{WebAuthn}, CountsFrom: noon.Add(time.Hour)}}, "signed_in mfa phishing_resistant"},
		{"what was proved for one request", []Proof{password, {Factor: WebAuthn, Credential: "k", At: noon, UserVerified: true, Once: "r"}}, "signed_in"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				if got := strings.Join(p.MetNames(p.Met(tt.proofs, true, noon)), " "); got != tt.want {
					t.Errorf("met %q, want %q", got, tt.want)
				}
				slices.Reverse(tt.proofs)
			}
			if met := p.Met(tt.proofs, false, noon); met != 0 {
				t.Errorf("met without a sign-in: %v", p.LevelNames(met))
			}
		})
	}
}

func TestTheKeyThatSignedInMayBeTouchedAgain(t *testing.T) {
	p := policyOf(t, "level key { accept webauthn; max_age 10m }")
	signIn := Proof{Factor: WebAuthn, Credential: "k", At: ago(time.Hour), UserVerified: true}
	touch := Proof{Factor: WebAuthn, Credential: "k", At: ago(time.Minute)}
	if got := strings.Join(p.MetNames(p.Met([]Proof{signIn, touch}, true, noon)), " "); got != "signed_in mfa phishing_resistant key" {
		t.Errorf("met %q", got)
	}
}

func TestAlsoKeepsTheSoftTokenWelded(t *testing.T) {
	p := policyOf(t, "level mfa { also email device_pin }")
	proofs := []Proof{{Factor: Password, At: noon}, {Factor: DevicePIN, Credential: "d", At: noon, BoundBy: []Factor{Password}}}
	if met := p.Met(proofs, true, noon); met != p.required[LevelSignedIn] {
		t.Errorf("met %v", p.LevelNames(met))
	}
}

func TestMetUntilIsWhenTheAnswerMayDiffer(t *testing.T) {
	p := policyOf(t, metLevels)
	tests := []struct {
		name   string
		proofs []Proof
		want   time.Time
	}{
		{"nothing ages", []Proof{{Factor: Password, At: ago(time.Hour)}, {Factor: BackupCode, Credential: "b", At: noon}}, time.Time{}},
		{"a level ages", []Proof{{Factor: TOTP, Credential: "o", At: ago(4 * time.Minute)}}, noon.Add(6 * time.Minute)},
		{"the first of two", []Proof{{Factor: Password, At: ago(29 * time.Minute)}, {Factor: TOTP, Credential: "o", At: ago(4 * time.Minute)}}, noon.Add(time.Minute)},
		{"a credential begins to count", []Proof{{Factor: SMS, Credential: "s", At: ago(time.Hour), BoundBy: []Factor{Password}, CountsFrom: noon.Add(time.Second)}}, noon.Add(time.Second)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			met, until := p.MetUntil(tt.proofs, true, noon)
			if !until.Equal(tt.want) {
				t.Fatalf("until %v, want %v", until, tt.want)
			}
			if until.IsZero() {
				return
			}
			if before := p.Met(tt.proofs, true, until.Add(-1)); before != met {
				t.Errorf("differs before: %v, then %v", p.LevelNames(met), p.LevelNames(before))
			}
			if after := p.Met(tt.proofs, true, until.Add(1)); after == met {
				t.Errorf("does not differ after: %v", p.LevelNames(met))
			}
		})
	}
}

func TestOnceOpensOneRequestAndOneLevel(t *testing.T) {
	p := policyOf(t, metLevels+"require pay /pay\nrequire sign /sign\nrequire pay sign /both\nrequire pay phishing_resistant /pay/and")
	password := Proof{Factor: Password, At: noon}
	bound := func(f Factor, credential, request string) Proof {
		return Proof{Factor: f, Credential: credential, At: noon, Once: request}
	}
	tests := []struct {
		name, path, once string
		proofs           []Proof
		missing          string
	}{
		{"for this request", "/pay", "r1", []Proof{bound(WebAuthn, "k", "r1")}, ""},
		{"for another", "/pay", "r2", []Proof{bound(WebAuthn, "k", "r1")}, "pay"},
		{"for a request without identity", "/pay", "", []Proof{bound(WebAuthn, "k", "r1")}, "pay"},
		{"ordinary proofs", "/pay", "r1", []Proof{{Factor: WebAuthn, Credential: "k", At: noon}}, "pay"},
		{"ordinary proofs of a request without identity", "/pay", "", []Proof{{Factor: WebAuthn, Credential: "k", At: noon}}, "pay"},
		{"one proof, two levels", "/both", "r1", []Proof{bound(WebAuthn, "k", "r1")}, "sign"},
		{"two proofs, two levels", "/both", "r1", []Proof{bound(WebAuthn, "k", "r1"), bound(TOTP, "o", "r1")}, ""},
		{"two proofs, two levels, in any order", "/both", "r1", []Proof{bound(TOTP, "o", "r1"), bound(WebAuthn, "k", "r1")}, ""},
		{"two proofs by one key", "/both", "r1", []Proof{bound(WebAuthn, "k", "r1"), bound(WebAuthn, "k", "r1")}, ""},
		{"no other level", "/pay/and", "r1", []Proof{bound(WebAuthn, "k", "r1")}, "phishing_resistant"},
		{"both kinds", "/pay/and", "r1", []Proof{bound(WebAuthn, "k", "r1"), {Factor: WebAuthn, Credential: "k", At: noon}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, "GET "+tt.path)
			r.SignedIn, r.Once, r.Proofs = true, tt.once, append(tt.proofs, password)
			d := p.Decide(r)
			if got := strings.Join(p.LevelNames(d.Missing), " "); got != tt.missing || (d.Outcome == Allow) != (tt.missing == "") {
				t.Errorf("%v, missing %q, want %q", d.Outcome, got, tt.missing)
			}
			if d.Once != d.Needed&p.OnceLevels()&^d.Missing {
				t.Errorf("spends for %v", p.LevelNames(d.Once))
			}
			if met := p.MetOnce(d.Needed, r.Proofs, true, noon, tt.once); d.Needed&^met != d.Missing {
				t.Errorf("MetOnce has %v", p.LevelNames(met))
			}
			r.Met, r.MetKnown = ^LevelSet(0), true
			if d := p.Decide(r); strings.Contains(tt.missing, "pay") && d.Outcome == Allow {
				t.Error("a cached set opens a request")
			}
		})
	}
}

func TestWays(t *testing.T) {
	p := policyOf(t, metLevels)
	password := Proof{Factor: Password, At: noon}
	tests := []struct {
		name, levels string
		proofs       []Proof
		once         string
		want         []string
	}{
		{"each alternative", "phishing_resistant", nil, "", []string{"webauthn"}},
		{"the sign-in is enough", "signed_in", nil, "", []string{""}},
		{"nothing is missing", "", nil, "", []string{""}},
		{"strongest first", "mfa", nil, "", []string{"webauthn", "totp", "device_pin", "approval", "sms", "backup_code", "temporary_code"}},
		{"one proof for two levels", "mfa phishing_resistant", nil, "", []string{"webauthn"}},
		{"minimal", "mfa two", nil, "", []string{"sms pin", "webauthn security_questions pin", "totp security_questions pin", "device_pin security_questions pin", "approval security_questions pin", "backup_code security_questions pin", "temporary_code security_questions pin"}},
		{"what is there is not asked again", "two", []Proof{{Factor: PIN, Credential: "p", At: noon}}, "", []string{"sms", "security_questions"}},
		{"what is old is", "fresh", []Proof{{Factor: TOTP, Credential: "o", At: ago(time.Hour)}}, "", []string{"totp", "sms"}},
		{"two keys", "keys", nil, "", []string{"webauthn webauthn"}},
		{"one key is there", "keys", []Proof{password, {Factor: WebAuthn, Credential: "k", At: noon}}, "", []string{"webauthn"}},
		{"once is not shared", "phishing_resistant pay", nil, "", []string{"webauthn webauthn", "webauthn totp"}},
		{"twice once", "pay sign", nil, "", []string{"webauthn webauthn", "webauthn totp"}},
		{"once, and half is there", "pay sign", []Proof{password, {Factor: TOTP, Credential: "o", At: noon, Once: "r"}}, "r", []string{"webauthn"}},
		{"ordinary proofs are not for one request", "pay", []Proof{password, {Factor: TOTP, Credential: "o", At: noon}}, "", []string{"webauthn", "totp"}},
		{"once, for another request", "pay", []Proof{password, {Factor: TOTP, Credential: "o", At: noon, Once: "r"}}, "s", []string{"webauthn", "totp"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var missing LevelSet
			for _, name := range strings.Fields(tt.levels) {
				l, ok := p.Level(name)
				if !ok {
					t.Fatalf("no level %s", name)
				}
				missing |= l.Set()
			}
			var got []string
			for _, way := range p.WaysOnce(missing, tt.proofs, noon, tt.once) {
				var words []string
				for _, f := range way {
					words = append(words, string(f))
				}
				got = append(got, strings.Join(words, " "))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ways (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWaysLeadThere(t *testing.T) {
	p := policyOf(t, metLevels)
	for missing := range LevelSet(1) << len(p.Levels()) {
		for _, way := range p.Ways(missing&^p.OnceLevels(), nil, noon) {
			proofs := []Proof{}
			for i, f := range way {
				proofs = append(proofs, Proof{Factor: f, Credential: string(rune('a' + i)), At: noon, UserVerified: true, BoundBy: []Factor{SMS}})
			}
			if met := p.Met(proofs, true, noon); !met.Has(missing &^ p.OnceLevels()) {
				t.Fatalf("%v by %v only meets %v", p.LevelNames(missing), way, p.LevelNames(met))
			}
		}
	}
}

func TestCountsForTellsWhichCredentialsHelp(t *testing.T) {
	p := policyOf(t, metLevels)
	password := []Proof{{Factor: Password, At: noon}}
	tests := []struct {
		name   string
		proof  Proof
		beside []Proof
		want   string
	}{
		{"a phone", Proof{Factor: SMS, Credential: "s", At: noon}, password, "mfa fresh two"},
		{"a key", Proof{Factor: WebAuthn, Credential: "k", At: noon}, password, "mfa phishing_resistant keys pay sign"},
		{"a key without a sign-in", Proof{Factor: WebAuthn, Credential: "k", At: noon}, nil, ""},
		{"a soft token made under the password", Proof{Factor: DevicePIN, Credential: "d", At: noon, BoundBy: []Factor{Password}}, password, "token"},
		{"a phone that counts later", Proof{Factor: SMS, Credential: "s", At: noon, CountsFrom: noon.Add(1)}, password, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(p.LevelNames(p.CountsFor(tt.proof, tt.beside, noon)), " "); got != tt.want {
				t.Errorf("counts for %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWeaker(t *testing.T) {
	p := policyOf(t, metLevels+"level wide { accept totp webauthn email }\nlevel narrow { accept totp; max_age 5m }")
	set := func(names string) LevelSet {
		var s LevelSet
		for _, name := range strings.Fields(names) {
			l, ok := p.Level(name)
			if !ok {
				t.Fatalf("no level %s", name)
			}
			s |= l.Set()
		}
		return s
	}
	tests := []struct {
		a, b string
		want bool
	}{
		{"", "signed_in", true},
		{"signed_in", "", false},
		{"", "", false},
		{"signed_in", "mfa", true},
		{"mfa", "signed_in", false},
		{"mfa", "phishing_resistant", true},
		{"phishing_resistant", "mfa", false},
		{"fresh", "mfa", false},
		{"mfa", "fresh", true},
		{"narrow", "fresh", false},
		{"fresh", "narrow", true},
		{"narrow", "wide", false},
		{"wide", "mfa", true},
		{"mfa", "wide", true},
		{"mfa fresh", "fresh", false},
		{"fresh", "mfa fresh", false},
		{"keys", "phishing_resistant", false},
		{"phishing_resistant", "keys", true},
		{"two", "mfa", true},
		{"token", "mfa", true},
		{"relogin", "signed_in", false},
		{"mfa", "relogin", true},
		{"sign", "phishing_resistant", true},
		{"phishing_resistant", "sign", true},
		{"sign", "sign", false},
		{"sign phishing_resistant", "phishing_resistant", false},
	}
	for _, tt := range tests {
		if got := p.Weaker(set(tt.a), set(tt.b)); got != tt.want {
			t.Errorf("%q weaker than %q: %v", tt.a, tt.b, got)
		}
	}
}

func TestFingerprintIsThatOfTheLevels(t *testing.T) {
	base := policyOf(t, metLevels).Fingerprint()
	same := policyOf(t, metLevels+"require mfa /x\nrequire token POST /y").Fingerprint()
	if base != same {
		t.Error("rules change it")
	}
	for _, other := range []string{
		"", metLevels + "level aaa { accept pin }",
		strings.Replace(metLevels, "10m", "11m", 1), strings.Replace(metLevels, "; once", "", 1),
		metLevels + "level mfa { accept totp webauthn sms device_pin approval backup_code temporary_code }",
	} {
		if policyOf(t, other).Fingerprint() == base {
			t.Errorf("the same for other levels: %s", other)
		}
	}
}

// TestATokenIsNoSignIn has a program that proved a token and nothing else.
func TestATokenIsNoSignIn(t *testing.T) {
	p, err := Compile(&Config{
		Levels: []LevelConfig{{Name: "program", Accept: [][]Factor{{Token}, {TOTP}}}}, Default: []string{"program"},
	}, CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	token := Proof{Factor: Token, Credential: "t", At: now}
	if got := p.MetNames(p.Met([]Proof{token}, true, now)); !slices.Equal(got, []string{"program"}) {
		t.Errorf("a token meets %v", got)
	}
	if got := p.MetNames(p.Met([]Proof{token, {Factor: Password, At: now}}, true, now)); !slices.Contains(got, LevelSignedIn) {
		t.Errorf("a password beside it meets %v", got)
	}
	required, err := p.Required([]string{LevelSignedIn, LevelMFA})
	if err != nil || p.Met([]Proof{token}, true, now)&required != 0 {
		t.Errorf("a token meets what an organisation asks for: %v", err)
	}
}
