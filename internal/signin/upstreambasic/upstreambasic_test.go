package upstreambasic

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCredentialsNameOnePerson(t *testing.T) {
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	for line, want := range map[string]string{
		basic("joe:x"):                                  "joe",
		basic("joe:x:y"):                                "joe", // RFC 7617 §2
		"basic  " + basic("joe:x")[6:]:                  "joe",
		basic("josé:x"):                                 "josé",
		`Digest username="joe", uri="/", nc=00000001`:   "joe",
		`digest uri="/",username=joe`:                   "joe",
		basic("joe"):                                    "",
		basic(":x"):                                     "",
		basic("joe\x00:x"):                              "",
		basic("jo\xe9:x"):                               "",
		"Basic am9lOng":                                 "", // without its end
		"Basic am9lOng= x":                              "",
		"Bearer abc":                                    "",
		"Negotiate abc":                                 "",
		`Digest username="joe", username="ann"`:         "",
		`Digest username="joe", USERNAME="ann"`:         "",
		`Digest username="joe", username*=UTF-8\'\'ann`: "",
		`Digest username="0a4f", userhash=true`:         "",
		`Digest username="j\"oe"`:                       "",
		`Digest uri="/"`:                                "",
		`Digest username="joe" uri="/"`:                 "",
	} {
		c, ok := Read(http.Header{"Authorization": {line}})
		if ok != (want != "") || c.Username != want || ok && c.Digest != strings.EqualFold(line[:6], "digest") {
			t.Errorf("%s: %q %v", line, c.Username, ok)
		}
	}
	if _, ok := Read(http.Header{"Authorization": {basic("joe:x"), basic("ann:x")}}); ok {
		t.Error("two headers name one person")
	}
}

func TestAConfigurationThatMakesNoSenseIsRefused(t *testing.T) {
	for _, c := range []Config{{Identity: "header"}, {Cache: 2 * time.Hour}, {Cache: -1}, {Probe: "manager"}, {Probe: "//x"}} {
		if _, err := New("app", c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
