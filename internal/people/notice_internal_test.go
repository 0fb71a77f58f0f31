package people

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
)

// everyTold are all things that people are told of.
var everyTold = []Told{
	ToldFactorAdded, ToldFactorChanged, ToldFactorRemoved, ToldFactorsReset, ToldBackupCodeUsed, ToldTwoFactorOn, ToldTwoFactorOff,
	ToldEmailChanged, ToldMobileChanged, ToldPasswordChanged, ToldPasswordReset, ToldTemporaryCode, ToldTokenAdded, ToldTokenRevoked,
	ToldDeviceAdded, ToldDeviceRemoved, ToldDeviceLocked, ToldBrowserCopied, ToldSignInFromNew, ToldDisowned, ToldPhoneLocked, ToldRequestDenied, ToldHelpdeskDenied,
}

func TestEveryNoticeIsInEveryLanguage(t *testing.T) {
	want := []string{toldByText, toldRest, toldWaits, toldByStaff, toldFromNowhere}
	for _, told := range everyTold {
		want = append(want, string(told)+".subject", string(told)+".text")
	}
	slices.Sort(want)
	for language, texts := range noticeTexts {
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(texts))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", language, diff)
		}
		for id, text := range texts {
			if english := noticeTexts["en"][id]; text == "" || strings.Count(text, "{") != strings.Count(english, "{") {
				t.Errorf("%s: %s: %q", language, id, text)
			}
		}
	}
	if len(noticeTexts) != 2 {
		t.Errorf("%d languages", len(noticeTexts))
	}
}

func TestANoticeIsInEveryLanguageOfTheSite(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	n := &Notices{Name: "Y Porth", Origin: "https://porth.example", Help: "0300", Languages: []string{"cy", "en"}, Zone: london}
	body := n.body(Notice{
		What: ToldFactorAdded, Account: account.Account{Username: "joe"}, Credential: account.Credential{Label: "{account}"},
		From: Whence{Address: "192.0.2.7", Place: "Leeds"}, At: time.Date(2026, 7, 1, 11, 0, 0, 0, time.UTC),
	})
	cymraeg, english, both := strings.Cut(body, "\n----\n")
	if !both || !strings.Contains(cymraeg, "Cyfrif: joe\n") || !strings.Contains(english, "Account: joe\n") || !strings.Contains(english, "From: Leeds (192.0.2.7)\n") ||
		strings.Count(body, "2026-07-01 12:00\n") != 2 || strings.Count(body, "0300\n") != 2 || !strings.Contains(cymraeg, "at eich cyfrif: {account}.") {
		t.Errorf("%s", body)
	}
}

func TestANoticeNamesACredentialInItsOwnLanguage(t *testing.T) {
	n := &Notices{Name: "Portal", Origin: "https://portal.example", Languages: []string{"en", "cy"}}
	body := n.body(Notice{What: ToldFactorAdded, Credential: account.Credential{Factor: "totp", Label: "Authenticator app 2"}})
	english, cymraeg, _ := strings.Cut(body, "\n----\n")
	if !strings.Contains(english, "to your account: Authenticator app 2.") || !strings.Contains(cymraeg, "at eich cyfrif: Ap dilysu 2.") {
		t.Error(body)
	}
}

func TestANoticeGoesWhereThePersonWasAndIs(t *testing.T) {
	joe := account.Account{ID: "joe", Email: "new@example.test", Mobile: "+447700900002"}
	before := account.Account{ID: "joe", Email: "old@example.test", Mobile: "+447700900001"}
	phone := account.Credential{ID: "p", Factor: "sms", Address: "+447700900609"}
	mailbox := account.Credential{ID: "m", Factor: "email", Address: "box@example.test"}
	waiting := account.Credential{ID: "w", Factor: "email", Address: "added@example.test", CountsFrom: time.Unix(1, 0)}
	for name, c := range map[string]struct {
		told  Notice
		mails string
		texts string
	}{
		"added":                   {Notice{What: ToldFactorAdded, Account: joe, Credential: phone, Held: []account.Credential{phone, mailbox}}, "new@example.test", ""},
		"added, and has to wait":  {Notice{What: ToldFactorAdded, Account: joe, Credential: waiting, Held: []account.Credential{phone, mailbox, waiting}}, "new@example.test box@example.test", "+447700900609"},
		"removed":                 {Notice{What: ToldFactorRemoved, Account: joe, Credential: phone}, "new@example.test", "+447700900609"},
		"another e-mail address":  {Notice{What: ToldEmailChanged, Account: joe, Before: &before}, "new@example.test old@example.test", ""},
		"another number":          {Notice{What: ToldMobileChanged, Account: joe, Before: &before}, "new@example.test old@example.test", "+447700900002 +447700900001"},
		"without any address":     {Notice{What: ToldPasswordReset, Account: account.Account{ID: "x"}}, "", ""},
		"with none but a mailbox": {Notice{What: ToldPasswordReset, Account: account.Account{ID: "x"}, Held: []account.Credential{mailbox}}, "box@example.test", ""},
	} {
		got := map[string][]string{}
		n := &Notices{Name: "Portal", Offers: func(string) bool { return true }}
		for _, k := range n.Messages(c.told) {
			got[k.Channel] = append(got[k.Channel], k.To)
			if k.Account != string(c.told.Account.ID) || k.ID == "" || k.Body == "" || (k.Subject == "") != (k.Channel == delivery.SMS) {
				t.Errorf("%s: %+v", name, k)
			}
		}
		if strings.Join(got[delivery.Email], " ") != c.mails || strings.Join(got[delivery.SMS], " ") != c.texts {
			t.Errorf("%s: %v", name, got)
		}
	}
	silent := &Notices{Name: "Portal", Offers: func(string) bool { return false }}
	if got := silent.Messages(Notice{What: ToldPasswordReset, Account: joe}); len(got) > 0 {
		t.Errorf("without a provider: %v", got)
	}
}
