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

func TestLentSessionsEnd(t *testing.T) {
	s, err := New("app", Config{})
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s.Lend([32]byte{1}, "a=b", noon)
	for after, want := range map[time.Duration]string{0: "a=b", 5 * time.Minute: "a=b"} {
		if got := s.Lent([32]byte{1}, noon.Add(after)); got != want {
			t.Errorf("after %s: %q", after, got)
		}
	}
	if got := s.Lent([32]byte{2}, noon); got != "" {
		t.Errorf("to others: %q", got)
	}
	if got := s.Lent([32]byte{1}, noon.Add(5*time.Minute+1)); got != "" {
		t.Errorf("after its time: %q", got)
	}
	for _, c := range []Config{{Identity: "header"}, {Cache: 2 * time.Hour}, {Cache: -1}, {Probe: "manager"}, {Probe: "//x"}} {
		if _, err := New("app", c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
