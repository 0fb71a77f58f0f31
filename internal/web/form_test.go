package web

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
)

const formType = "application/x-www-form-urlencoded"

func formRequest(contentType, body string) *http.Request {
	r := httptest.NewRequest("POST", "/.stepgate/sign-in?username=query", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func TestReadFormReadsTheBodyOnly(t *testing.T) {
	r := formRequest(formType+"; charset=UTF-8", "username=jo%C3%AB&code=12+34&level=a&level=b")
	got, err := ReadForm(httptest.NewRecorder(), r, "level")
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"username": {"joë"}, "code": {"12 34"}, "level": {"a", "b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, r.PostForm); diff != "" {
		t.Error("PostForm:", diff)
	}
}

func TestReadFormRefuses(t *testing.T) {
	tests := []struct {
		name, contentType, body string
		status                  int
	}{
		{"a field twice", formType, "username=a&username=b", 400},
		{"the same value twice", formType, "device=public&device=public", 400},
		{"bytes that are not UTF-8", formType, "username=%ff", 400},
		{"a name that is not UTF-8", formType, "%ff=a", 400},
		{"overlong UTF-8", formType, "username=%c0%af", 400},
		{"a zero byte", formType, "username=a%00b", 400},
		{"broken percent encoding", formType, "username=%zz", 400},
		{"semicolons", formType, "a=1;b=2", 400},
		{"more fields than any page has", formType, strings.Repeat("a&", 300), 400},
		{"an upload", "multipart/form-data; boundary=x", "--x--", 415},
		{"JSON", "application/json", `{"a":1}`, 415},
		{"text", "text/plain", "a=1", 415},
		{"no type", "", "a=1", 415},
		{"another charset", formType + "; charset=utf-7", "a=1", 415},
		{"a broken type", "application/x-www-form-urlencoded; ;", "a=1", 415},
		{"too much", formType, "a=" + strings.Repeat("x", maxFormBytes), 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadForm(httptest.NewRecorder(), formRequest(tt.contentType, tt.body))
			var fail *Fail
			if !errors.As(err, &fail) || fail.Status != tt.status || !errors.Is(err, ErrBadForm) {
				t.Errorf("error %v, want status %d", err, tt.status)
			}
		})
	}
}

func TestReadFormTakesTheLastByteThatFits(t *testing.T) {
	r := formRequest(formType, "a="+strings.Repeat("x", maxFormBytes-2))
	if _, err := ReadForm(httptest.NewRecorder(), r); err != nil {
		t.Error(err)
	}
}

func TestReadFormWantsPOST(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		_, err := ReadForm(httptest.NewRecorder(), httptest.NewRequest(method, "/", nil))
		var fail *Fail
		if !errors.As(err, &fail) || fail.Status != http.StatusMethodNotAllowed || fail.Allow != "POST" {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestReadFormRefusesCompressedBodies(t *testing.T) {
	r := formRequest(formType, "a=1")
	r.Header.Set("Content-Encoding", "gzip")
	_, err := ReadForm(httptest.NewRecorder(), r)
	var fail *Fail
	if !errors.As(err, &fail) || fail.Status != http.StatusUnsupportedMediaType {
		t.Error(err)
	}
}

func TestReadFormBlamesTheClientForABrokenBody(t *testing.T) {
	r := httptest.NewRequest("POST", "/", brokenBody{})
	r.Header.Set("Content-Type", formType)
	_, err := ReadForm(httptest.NewRecorder(), r)
	var fail *Fail
	if !errors.As(err, &fail) || fail.Status != http.StatusBadRequest {
		t.Error(err)
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// Whatever is sent: values that are one each, valid and readable, or a 4xx.
func FuzzReadForm(f *testing.F) {
	for _, seed := range []string{"", "a=1", "a=1&a=2", "%ff=%00", "a=%C3%28", "&&&=&=", "code=123+456&csrf_token=x"} {
		f.Add(formType, []byte(seed))
	}
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\n\r\n--x--"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		values, err := ReadForm(httptest.NewRecorder(), r)
		if err != nil {
			var fail *Fail
			if !errors.As(err, &fail) || fail.Status < 400 || fail.Status > 499 {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		for name, all := range values {
			if len(all) != 1 || !utf8.ValidString(name+all[0]) || strings.ContainsRune(name+all[0], 0) {
				t.Fatalf("accepted %q = %q", name, all)
			}
		}
	})
}

func TestPastedTextIsReadPlainly(t *testing.T) {
	fields := url.Values{
		"code": {"\u2068１２３\u200b456\u2069"}, "mobile": {"\u202a٠٧٧٠٠ ۹۰۰123\u202c"}, "label": {"Ann\u200b's phone"},
		"password": {"pa\u200bss１"}, "new_password": {"\u202a１"}, "pin": {"𝟗𝟘𝟷"},
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := ReadForm(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"code": "123456", "mobile": "07700 900123", "label": "Ann's phone", "password": "pa\u200bss１", "new_password": "\u202a１", "pin": "901",
	}
	for name, text := range want {
		if got.Get(name) != text || r.PostForm.Get(name) != text {
			t.Errorf("%s: %q, want %q", name, got.Get(name), text)
		}
	}
}

func TestEveryDecimalDigitHasItsValue(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.Is(unicode.Nd, r) {
			continue
		}
		if compatible := norm.NFKD.String(string(r)); len(compatible) == 1 && compatible[0] != byte('0'+digit(r)) {
			t.Errorf("%U is %c, not %d", r, compatible[0], digit(r))
		}
	}
}
