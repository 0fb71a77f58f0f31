package caddymodule

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
	"github.com/chromedp/cdproto/cdp"
	browserpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/internal/people"
)

// picture draws a text as a phone's camera sees it: on a screen, with a margin.
func picture(t *testing.T, text string) image.Image {
	t.Helper()
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err == nil {
		code, err = barcode.Scale(code, 360, 360)
	}
	if err != nil {
		t.Fatal(err)
	}
	frame := image.NewGray(image.Rect(0, 0, 640, 480))
	for i := range frame.Pix {
		frame.Pix[i] = 0xff
	}
	for y := range 360 {
		for x := range 360 {
			frame.SetGray(x+140, y+60, color.GrayModel.Convert(code.At(x, y)).(color.Gray))
		}
	}
	return frame
}

// film is a video that Chromium shows as its camera: some frames of motion JPEG.
func film(t *testing.T, text string) string {
	t.Helper()
	var frame bytes.Buffer
	if err := jpeg.Encode(&frame, picture(t, text), &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "camera.mjpeg")
	if err := os.WriteFile(file, bytes.Repeat(frame.Bytes(), 30), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// codeOf makes a code at a moment by the app's own code, in the app's own page.
func (p phone) codeOf(secret, algorithm string, digits, at int) string {
	p.t.Helper()
	return see[string](p.window, fmt.Sprintf(`import("/otp.js").then(({ codeAt, toBase32 }) =>
		codeAt({ secret: toBase32(new TextEncoder().encode(%q)), algorithm: %q, digits: %d, period: 30 }, %d * 1000))`, secret, algorithm, digits, at))
}

// reads has the app read a text, and gives how many entries are in it or the
// word by which it refuses.
func (p phone) reads(text string) string {
	p.t.Helper()
	return see[string](p.window, `import("/entries.js").then(({ fromText }) => {
		try { const f = fromText(`+inJS(text)+`); return f.ticket ? "ticket" : f.entries.length + " " + f.entries.map((e) => [e.issuer, e.name, e.algorithm, e.digits, e.period].join("/")).join() + " " + f.skipped; }
		catch (e) { return e.message; } })`)
}

// vectors are those of RFC 6238 appendix B.
var vectors = []struct {
	at                   int
	sha1, sha256, sha512 string
}{
	{59, "94287082", "46119246", "90693936"}, {1111111109, "07081804", "68084774", "25091201"}, {1111111111, "14050471", "67062674", "99943326"},
	{1234567890, "89005924", "91819424", "93441116"}, {2000000000, "69279037", "90698825", "38618901"}, {20000000000, "65353130", "77737706", "47863826"},
}

const migration = "otpauth-migration://offline?data=" // and a payload

// migrated is what Google Authenticator's picture holds: two entries by time, one
// that is counted.
func migrated() string {
	field := func(n int, b string) string { return string(rune(n<<3|2)) + string(rune(len(b))) + b }
	number := func(n, v int) string { return string(rune(n<<3)) + string(rune(v)) }
	one := func(secret, name, issuer string, algorithm, digits, kind int) string {
		return field(1, field(1, secret)+field(2, name)+field(3, issuer)+number(4, algorithm)+number(5, digits)+number(6, kind))
	}
	payload := one("12345678901234567890", "joe", "Old", 1, 1, 2) + one("secretsecret", "New:amy", "New", 2, 2, 2) + one("counted", "x", "y", 1, 1, 1) + number(2, 1)
	return migration + strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(payload)), "+", "%2B")
}

// TestTheAppKeepsCodes walks through the app without any pairing: codes from
// everywhere, by camera and without a network, behind a PIN that wipes.
func TestTheAppKeepsCodes(t *testing.T) {
	axe := legacytest.Axe(t)
	g, app := startPhones(t)
	link := "otpauth://totp/Portal%20A:joe?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Portal%20A"
	c := startChromiumOn(t, profileFolder(t), chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-video-capture", film(t, link)))
	p := c.newPhone(t, app, true)

	// What a browser wants before it offers to install the app.
	p.await(`navigator.serviceWorker.controller !== null`)
	if found, err := chromedp.Call(p.ctx, browserpage.GetInstallabilityErrors, cdp.Empty{}); err != nil {
		t.Error(err)
	} else {
		for _, e := range found.InstallabilityErrors {
			if e.ErrorID != "in-incognito" { // so is each of the test's profiles
				t.Errorf("cannot be installed: %s %v", e.ErrorID, e.ErrorArguments)
			}
		}
	}

	for _, v := range vectors {
		seed := "12345678901234567890"
		for algorithm, want := range map[string]string{"SHA1": v.sha1, "SHA256": v.sha256, "SHA512": v.sha512} {
			size := map[string]int{"SHA1": 20, "SHA256": 32, "SHA512": 64}[algorithm]
			if got := p.codeOf(strings.Repeat(seed, 4)[:size], algorithm, 8, v.at); got != want {
				t.Errorf("%s at %d: %s, want %s", algorithm, v.at, got, want)
			}
		}
	}
	p.hostile()
	p.files()

	// Where event streams fail, or are held back, the app asks again, and what
	// waits stays where it is meanwhile.
	for _, stream := range []string{
		`() => Promise.reject(new TypeError("network"))`,
		`async () => new Response("no", { status: 429 })`,
		`(signal) => new Promise((_, no) => signal.addEventListener("abort", () => no(signal.reason)))`,
	} {
		if got := p.following(stream); got != "0 1" {
			t.Errorf("%s: heard %q", stream, got)
		}
	}

	// RFC 7914 §12.
	if got := see[string](p.window, `import("/scrypt.js").then(async ({ scrypt }) => {
		const b = (t) => new TextEncoder().encode(t);
		const out = await scrypt(b("pleaseletmein"), b("SodiumChloride"), { n: 16384, r: 8, p: 1 }, 64);
		return Array.from(out, (x) => x.toString(16).padStart(2, "0")).join("").slice(0, 32); })`); got != "7023bdcb3afd7348461c06cd81fd38eb" {
		t.Errorf("scrypt: %s", got)
	}

	p.importsEncrypted()
	p.tap("Add a code")
	p.judge(axe, "app-add")
	p.shoot("app-add")
	p.tap("Scan with the camera")
	p.shows("Add this?")
	p.tap("Add")
	p.await(`document.querySelector("[data-entry] .digits")?.textContent.length === 7`)
	p.tap("Add a code")
	p.types("paste", migrated())
	p.tap("Read it")
	p.shows("Add 2 codes?")
	p.shows("1 more cannot be added")
	p.tap("Add")
	p.await(`document.querySelectorAll("[data-entry]").length === 3`)
	p.judge(axe, "app-codes")
	p.shoot("app-codes")
	if heard := see[string](p.window, `document.querySelector("[data-entry] .code .vh").textContent`); !strings.HasPrefix(heard, "Portal A joe: code ") || strings.Count(heard, " ") < 9 {
		t.Errorf("a screen reader says %q", heard)
	}

	// By a link; one that is broken is refused, and the app goes on.
	p.open(app + "/#otpauth://totp/%ff?secret=%zz")
	p.shows("That is no link of a code.")
	p.open(app + "/#otpauth://totp/Linked:amy?secret=GEZDGNBVGY3TQOJQ")
	p.shows("Add this?")
	p.tap("Cancel")
	p.await(`document.querySelectorAll("[data-entry]").length === 3`)

	// Without a network, from the first load on.
	if err := stopGateway(); err != nil {
		t.Fatal(err)
	}
	p.open(app)
	p.types("pin", phonePIN)
	p.tap("Unlock")
	p.await(`document.querySelectorAll("[data-entry]").length === 3`)
	g.load(strings.ReplaceAll(phoneSite, "{{app}}", app))

	// What a script could copy out of the storage opens nowhere else.
	p.copied(t, c, app)

	// Another order, and one away after a second look.
	see[bool](p.window, `(document.querySelectorAll("[data-entry] .more")[2].click(), true)`)
	p.tap("Move up")
	p.await(`[...document.querySelectorAll("[data-entry] strong")].map((e) => e.textContent).join() === "Portal A,New,Old"`)
	p.portalsOwn(strings.TrimPrefix(g.url, "http://"))
	see[bool](p.window, `(document.querySelectorAll("[data-entry] .more")[1].click(), true)`)
	p.tap("Remove it")
	p.judge(axe, "app-remove")
	p.tap("Yes, remove it")
	p.await(`document.querySelectorAll("[data-entry]").length === 3`)

	// Ten wrong PINs take everything, over reloads too.
	p.tap("Lock")
	for left := 9; left > 0; left-- {
		p.types("pin", "000000")
		p.tap("Unlock")
		if left == 5 {
			p.shows("5 tries are left")
			p.open(app)
			continue
		}
		p.await(`document.querySelector("#pin-wrong")?.textContent.includes(` + inJS(map[bool]string{true: "One try is left", false: fmt.Sprint(left)}[left == 1]) + `)`)
	}
	p.types("pin", "000000")
	p.tap("Unlock")
	p.shows("Everything was erased")
	p.shoot("app-wiped")
	p.tap("Continue")
	p.shows("Choose a PIN")
	if rest := see[int](p.window, `indexedDB.databases().then((all) => all.length)`); rest > 1 {
		t.Errorf("%d databases are left", rest)
	}
}

// hostile reads links that want what no entry has.
func (p phone) hostile() {
	p.t.Helper()
	key := "secret=GEZDGNBVGY3TQOJQ"
	for text, want := range map[string]string{
		"otpauth://totp/A:b?" + key + "&algorithm=SHA512&digits=8&period=60": "1 A/b/SHA512/8/60 0",
		"otpauth://totp/%3Cimg%20src=x%20onerror=alert(1)%3E?" + key:         "1 /<img src=x onerror=alert(1)>/SHA1/6/30 0",
		"otpauth://totp/x?" + key + "&digits=9":                              "refused.digits",
		"otpauth://totp/x?" + key + "&digits=1e9":                            "refused.digits",
		"otpauth://totp/x?" + key + "&period=0":                              "refused.period",
		"otpauth://totp/x?" + key + "&period=-1":                             "refused.period",
		"otpauth://totp/x?" + key + "&algorithm=constructor":                 "refused.algorithm",
		"otpauth://totp/x?" + key + "&algorithm=MD5":                         "refused.algorithm",
		"otpauth://totp/x?secret=":                                           "refused.secret",
		"otpauth://totp/x?secret=" + strings.Repeat("A", 5000):               "refused.secret",
		"otpauth://totp/x?secret=%00%ff":                                     "refused.secret",
		"otpauth://totp/%ff?" + key:                                          "refused.link",
		"otpauth://hotp/x?" + key + "&counter=1":                             "refused.hotp",
		"javascript:alert(1)":                                                "refused.link",
		"https://evil.test/#pair=x.y":                                        "refused.link",
		p.base + "/#pair=x.y":                                                "ticket",
		strings.Repeat("x", 100000):                                          "refused.link",
		migration + "////":                                                   "refused.picture",
		migration + "CgD%2F%2F%2F%2F%2FDw%3D%3D":                             "refused.picture",
		migration:                                                            "refused.nothing",
	} {
		if got := p.reads(text); got != want {
			p.t.Errorf("%.80s: %q, want %q", text, got, want)
		}
	}
	if long := p.reads("otpauth://totp/" + strings.Repeat("n", 5000) + "?" + key); len(long) > 260 {
		p.t.Errorf("a name of %d characters is kept", len(long))
	}
}

// following follows a pairing in the app's own code over two rounds, in which
// event streams are answered by a script, and gives what is heard.
func (p phone) following(stream string) string {
	p.t.Helper()
	return see[string](p.window, `import("/gateway.js").then(async ({ follow }) => {
		const [real, stop, heard] = [globalThis.fetch, new AbortController(), []];
		globalThis.fetch = (path, how) => path === "/api/events" ? (`+stream+`)(how.signal) : Promise.resolve(Response.json({ requests: [{ id: String(heard.length) }] }));
		setTimeout(() => stop.abort(), 30000);
		try {
			await follow({ bearer: "b" }, (w, error) => (heard.push(error ? error.message : w.requests.map((q) => q.id).join()), heard.length === 2 && stop.abort()), stop.signal);
		} finally { globalThis.fetch = real; }
		return heard.join(" "); })`)
}

// copied takes what a script can read out of the storage into another profile,
// and tries the right PIN there.
func (p phone) copied(t *testing.T, c *chromium, app string) {
	t.Helper()
	dump := see[string](p.window, `new Promise((done) => {
		indexedDB.open("stepgate-authenticator").onsuccess = ({ target: { result: db } }) => {
			const all = db.transaction("kept").objectStore("kept");
			const out = {};
			all.openCursor().onsuccess = ({ target: { result: at } }) => {
				if (!at) { db.close(); return done(JSON.stringify(out, (k, v) => v instanceof Uint8Array ? { bytes: [...v] } : v)); }
				out[at.key] = at.value; at.continue();
			};
		};
	})`)
	if strings.Contains(dump, "Portal A") || strings.Contains(dump, "GEZD") || !strings.Contains(dump, `"browser":{}`) {
		t.Errorf("the storage says %.300s", dump)
	}
	thief := c.newPhone(t, app, false)
	thief.shows("Choose a PIN")
	thief.start("739154") // its own key, which the copy then stands beside
	thief.shows("No codes yet")
	see[bool](thief.window, `new Promise((done) => {
		const kept = JSON.parse(`+inJS(dump)+`, (k, v) => v?.bytes ? Uint8Array.from(v.bytes) : v);
		delete kept.browser;
		indexedDB.open("stepgate-authenticator").onsuccess = ({ target: { result: db } }) => {
			const t = db.transaction("kept", "readwrite");
			for (const [name, value] of Object.entries(kept)) t.objectStore("kept").put(value, name);
			t.oncomplete = () => { db.close(); done(true); };
		};
	})`)
	thief.tap("Lock")
	thief.types("pin", phonePIN)
	thief.tap("Unlock")
	thief.shows("9 tries are left")
}

// TestAPhoneSaysNo walks through denials, wrong numbers, two phones and one that
// was revoked, at the portal in a browser with and without scripts.
func TestAPhoneSaysNo(t *testing.T) {
	g, app := startPhones(t)
	joe := g.addUser("joe")
	c := startChromium(t)
	w, p := seated(t, c, g), c.newPhone(t, app, true)
	p.start(phonePIN)
	w.pairs("joe", p)

	other := seated(t, c, g)
	number := other.asks("joe")
	p.look()
	p.shoot("phone-ask")
	p.types("number", map[bool]string{true: "11", false: "10"}[number == "10"], "pin", phonePIN)
	p.tap("Approve")
	p.shows("The browser shows another number")
	other.await(`document.body.innerText.includes("Another number was typed")`)
	other.shoot("approval-wrong-number")
	other.press(`main button[value=send]`)
	number = other.number()
	p.look()
	p.types("number", number, "pin", "000000")
	p.tap("Approve")
	p.shows("9 tries are left")
	p.types("pin", phonePIN)
	p.tap("Approve")
	other.awaitURL("/cases/2")

	// Without scripts the page loads itself again, and its button goes on.
	plain := &window{tab: c.profile(t, looks{width: 360}), base: g.url}
	plain.open(g.url + "/cases/3")
	plain.tab.signIn("joe")
	if head := evaluate[string](plain.tab, `document.querySelector("noscript meta, head meta[http-equiv]")?.httpEquiv ?? ""`); head != "refresh" {
		t.Errorf("the page does not load itself again: %q", head)
	}
	number = evaluate[string](plain.tab, numberMark+`.textContent`)
	plain.shoot("approval")
	p.look()
	p.types("number", number, "pin", phonePIN)
	p.tap("Approve")
	p.shows("Approved. Go back")
	waitFor(t, func() bool { // the page may load itself again at the very moment
		if plain.url().Path != "/cases/3" {
			plain.tab.press(submitButton)
		}
		return plain.url().Path == "/cases/3"
	})

	// A level for one request names it on the phone.
	other.open(g.url + "/cases/2")
	see[bool](other, `(document.body.innerHTML = '<form method="post" action="/pay?to=amy"><button id="pay">Pay</button></form>', true)`)
	other.press("#pay")
	other.press(`main button[value=send]`) // a page that a request led to sends nothing by itself
	other.number()
	p.look()
	p.shows("POST /pay?to=amy")
	p.tap("This was not me")
	p.shows("You did not ask for this?")
	p.shoot("phone-deny")
	p.tap("Refuse it")
	p.shows("Refused. The people who help have been told.")
	other.await(`document.body.innerText.includes("refused on your phone")`)
	g.mailed("A request was refused on your phone")
	other.press(`main button[value=send]`)
	other.await(`document.body.innerText.includes("Another can be sent in a minute")`)

	// Taken away by an administrator, the phone is none.
	if _, _, err := active.Load().people.ResetFactors(t.Context(), people.Operator(), people.Who{ID: joe.ID}, "lost the phone"); err != nil {
		t.Fatal(err)
	}
	see[bool](p.window, `(document.querySelector("[data-tab=approvals]").click(), true)`)
	p.shows("This pairing is no more.")
	p.shoot("phone-revoked")
}
