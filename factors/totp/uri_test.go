package totp

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
)

// read is what an app makes of a URI: in a strict reading of its own and in
// the library's.
func read(t *testing.T, text string) (siteName, owner string) {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Fragment != "" || u.User != nil {
		t.Fatalf("not an otpauth URI of totp: %s", text)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	siteName = query.Get("issuer")
	query.Del("issuer")
	want := url.Values{"secret": {"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}}
	if diff := cmp.Diff(want, query); diff != "" {
		t.Errorf("%s: %s", text, diff)
	}
	rawIssuer, rawOwner, one := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), ":")
	if !one || strings.ContainsAny(rawOwner, ":/") {
		t.Fatalf("not one colon in the label: %s", text)
	}
	before, err := url.PathUnescape(rawIssuer)
	if err != nil || before != siteName {
		t.Errorf("the label's issuer is %q, the parameter's %q", before, siteName)
	}
	if owner, err = url.PathUnescape(rawOwner); err != nil {
		t.Fatal(err)
	}
	key, err := otp.NewKeyFromURL(text)
	if err != nil || key.Issuer() != siteName || key.AccountName() != owner || key.Type() != "totp" || key.Period() != 30 || key.Digits() != otp.DigitsSix || key.Algorithm() != otp.AlgorithmSHA1 {
		t.Errorf("the library reads %q, %q, %v", key.Issuer(), key.AccountName(), err)
	}
	return siteName, owner
}

func TestURIOfPlainNames(t *testing.T) {
	got := uri("The Portal", "joe@example.com", rfcSeed)
	const want = "otpauth://totp/The%20Portal:joe%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=The%20Portal"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestURIRoundTripsAwkwardNames(t *testing.T) {
	for _, c := range []struct{ site, user, wantSite, wantUser string }{
		{"Fish & Chips", "tom&jerry", "Fish & Chips", "tom&jerry"},
		{"100% Legal", "50%25", "100% Legal", "50%25"},
		{"C:Drive", "a:b:c", "C Drive", "a:b:c"},
		{"Gwasanaethau Ceredigion \u0174", "\u017b\u00f3\u0142\u0107", "Gwasanaethau Ceredigion \u0174", "\u017b\u00f3\u0142\u0107"},
		{"a+b c", "d+e f", "a+b c", "d+e f"},
		{"a/b?c#d", "../x?y#z", "a/b?c#d", "../x?y#z"},
		{"\u540d\u524d", "\U0001f600", "\u540d\u524d", "\U0001f600"},
		{" \u202eevil\n", "joe\x00", "evil", "joe"},
		{":", "joe", "portal.example.gov", "joe"},
		{"", "", "portal.example.gov", "ID"},
	} {
		scope := factors.Scope{SiteName: c.site, RelyingParty: "portal.example.gov", Account: account.Account{ID: "ID", Username: c.user}}
		site, owner := read(t, uri(issuer(scope), label(scope.Account), rfcSeed))
		if site != c.wantSite || owner != c.wantUser {
			t.Errorf("%q, %q come back as %q, %q", c.site, c.user, site, owner)
		}
	}
}

func FuzzURI(f *testing.F) {
	f.Add("Fish & Chips", "a:b")
	f.Add("100%", "50%25")
	f.Add("\u540d\u524d", "\xff")
	f.Add(":", "/")
	f.Fuzz(func(t *testing.T, siteName, username string) {
		scope := factors.Scope{SiteName: siteName, Account: account.Account{ID: "ID", Username: username}}
		site, owner := read(t, uri(issuer(scope), label(scope.Account), rfcSeed))
		if site != issuer(scope) || owner != label(scope.Account) || site == "" || owner == "" || strings.Contains(site, ":") {
			t.Errorf("%q, %q come back as %q, %q", siteName, username, site, owner)
		}
	})
}
