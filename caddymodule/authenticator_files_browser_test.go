package caddymodule

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"golang.org/x/crypto/scrypt"
)

func random(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}

// gcm seals by AES-256-GCM, and gives the nonce, what is sealed and its tag.
func gcm(t *testing.T, key, plain []byte) (nonce, sealed, tag []byte) {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	mode, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce = random(mode.NonceSize())
	whole := mode.Seal(nil, nonce, plain, nil)
	return nonce, whole[:len(plain)], whole[len(plain):]
}

// aegisFile is an Aegis vault as that app's description has it: a master key
// in slots, of which one is a fingerprint's and two are passwords.
func aegisFile(t *testing.T, db, password string) string {
	t.Helper()
	type params struct {
		Nonce string `json:"nonce"`
		Tag   string `json:"tag"`
	}
	master := random(32)
	slot := func(kind int, password string) map[string]any {
		salt := random(32)
		key, err := scrypt.Key([]byte(password), salt, 32768, 8, 1, 32)
		if err != nil {
			t.Fatal(err)
		}
		nonce, sealed, tag := gcm(t, key, master)
		out := map[string]any{"type": kind, "uuid": "01234567-89ab-4def-8123-456789abcdef", "key": hex.EncodeToString(sealed), "key_params": params{hex.EncodeToString(nonce), hex.EncodeToString(tag)}}
		if kind == 1 {
			out["n"], out["r"], out["p"], out["salt"] = 32768, 8, 1, hex.EncodeToString(salt)
		}
		return out
	}
	nonce, sealed, tag := gcm(t, master, []byte(db))
	return asJSON(t, map[string]any{
		"version": 1, "db": base64.StdEncoding.EncodeToString(sealed),
		"header": map[string]any{
			"slots":  []any{slot(2, "a key of the phone"), slot(1, "an older password"), slot(1, password)},
			"params": params{hex.EncodeToString(nonce), hex.EncodeToString(tag)},
		},
	})
}

// twoFASFile is an encrypted backup of 2FAS.
func twoFASFile(t *testing.T, services, password string) string {
	t.Helper()
	salt := random(256)
	key, err := pbkdf2.Key(sha256.New, password, salt, 10000, 32)
	if err != nil {
		t.Fatal(err)
	}
	nonce, sealed, tag := gcm(t, key, []byte(services))
	b64 := base64.StdEncoding.EncodeToString
	return asJSON(t, map[string]any{
		"services": []any{}, "groups": []any{}, "schemaVersion": 4, "appOrigin": "android",
		"servicesEncrypted": b64(append(sealed, tag...)) + ":" + b64(salt) + ":" + b64(nonce),
	})
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (p phone) imports(text, password string) string {
	p.t.Helper()
	return see[string](p.window, `import("/files.js").then(({ imported }) => imported(`+inJS(text)+`, async () => `+inJS(password)+`)
		.then((f) => f.entries.map((e) => [e.issuer, e.name, e.secret, e.algorithm, e.digits, e.period].join("/")).join() + " " + f.skipped, (e) => e.message))`)
}

// files reads files of all kinds, and such as want too much.
func (p phone) files() {
	p.t.Helper()
	wantAll := "A/joe/GEZDGNBVGY3TQOJQ/SHA256/8/60 0"
	ours := see[string](p.window, `import("/files.js").then(({ exported }) => exported([{ issuer: "A", name: "joe", secret: "GEZDGNBVGY3TQOJQ", algorithm: "SHA256", digits: 8, period: 60 }], "a good long password"))`)
	if strings.Contains(ours, "GEZD") || strings.Contains(ours, "joe") {
		p.t.Errorf("the file says %s", ours)
	}
	var file struct {
		Format string
		KDF    struct {
			Name string
			N    int
		}
	}
	if json.Unmarshal([]byte(ours), &file) != nil || file.Format != "stepgate-authenticator" || file.KDF.Name != "scrypt" || file.KDF.N != 32768 {
		p.t.Errorf("%+v", file)
	}
	aegis := `{"version":1,"header":{"slots":null,"params":null},"db":{"version":3,"entries":[
		{"type":"totp","name":"joe","issuer":"A","info":{"secret":"GEZDGNBVGY3TQOJQ","algo":"SHA256","digits":8,"period":60}},
		{"type":"steam","name":"x","issuer":"S","info":{"secret":"GEZDGNBVGY3TQOJQ","algo":"SHA1","digits":5,"period":30}}]}}`
	twoFAS := `{"schemaVersion":4,"services":[{"name":"A","secret":"GEZDGNBVGY3TQOJQ","otp":{"issuer":"A","account":"joe","digits":8,"period":60,"algorithm":"SHA256","tokenType":"TOTP"}},
		{"name":"c","secret":"GEZDGNBVGY3TQOJQ","otp":{"tokenType":"HOTP"}}]}`
	huge := func(n string) string { return strings.Replace(ours, `"n": 32768`, `"n": `+n, 1) }
	for what, c := range map[string][3]string{
		"ours":                {ours, "a good long password", wantAll},
		"ours, wrong":         {ours, "a bad long password", "refused.password"},
		"altered":             {strings.Replace(ours, `"data": "`, `"data": "AAAA`, 1), "a good long password", "refused.password"},
		"Aegis":               {aegis, "", strings.TrimSuffix(wantAll, "0") + "1"},
		"2FAS":                {twoFAS, "", strings.TrimSuffix(wantAll, "0") + "1"},
		"no JSON":             {"{", "", "refused.file"},
		"another's":           {`{"a":1}`, "", "refused.file"},
		"null":                {"null", "", "refused.file"},
		"all memory":          {huge("1073741824"), "x", "refused.file"},
		"an odd cost":         {huge("3"), "x", "refused.file"},
		"a text for a cost":   {huge(`"32768"`), "x", "refused.file"},
		"prototypes":          {`{"format":"stepgate-authenticator","version":1,"kdf":{"__proto__":{"name":"scrypt"}}}`, "x", "refused.file"},
		"too many":            {`{"services":[` + strings.Repeat(`{},`, 1000) + `{}]}`, "", "refused.many"},
		"nothing":             {`{"services":[]}`, "", "refused.nothing"},
		"entries of no shape": {`{"services":[null,1,"x",{"otp":null}]}`, "", "refused.nothing"},
	} {
		if got := p.imports(c[0], c[1]); got != c[2] {
			p.t.Errorf("%s: %q, want %q", what, got, c[2])
		}
	}
}

// importsEncrypted sets the app up and reads files of other apps that are behind
// a password.
func (p phone) importsEncrypted() {
	p.t.Helper()
	const password = "pässword of the file"
	aegis := aegisFile(p.t, `{"version":3,"entries":[{"type":"totp","name":"joe","issuer":"A","info":{"secret":"GEZDGNBVGY3TQOJQ","algo":"SHA256","digits":8,"period":60}},
		{"type":"hotp","name":"c","issuer":"A","info":{"secret":"GEZDGNBVGY3TQOJQ","algo":"SHA1","digits":6,"counter":1}}]}`, password)
	twoFAS := twoFASFile(p.t, `[{"name":"A","secret":"GEZDGNBVGY3TQOJQ","otp":{"account":"joe","digits":8,"period":60,"algorithm":"SHA256","tokenType":"TOTP"}},
		{"name":"c","secret":"GEZDGNBVGY3TQOJQ","otp":{"tokenType":"HOTP"}}]`, password)
	for what, file := range map[string]string{"Aegis": aegis, "2FAS": twoFAS} {
		if strings.Contains(file, "GEZD") {
			p.t.Fatalf("the file of %s is not encrypted", what)
		}
		if got := p.imports(file, password); got != "A/joe/GEZDGNBVGY3TQOJQ/SHA256/8/60 1" {
			p.t.Errorf("%s: %q", what, got)
		}
		if got := p.imports(file, "another"); got != "refused.password" {
			p.t.Errorf("%s under another password: %q", what, got)
		}
	}

	// On the screen.
	p.start(phonePIN)
	p.shows("No codes yet")
	see[bool](p.window, `(document.querySelector("[data-tab=settings]").click(), true)`)
	p.opensFile(twoFAS)
	p.types("password", "another")
	p.tap("Continue")
	p.shows("The password is not correct.")
	p.opensFile(twoFAS)
	p.types("password", password)
	p.tap("Continue")
	p.shows("Add this?")
	p.shows("1 more cannot be added")
	p.tap("Cancel")
}

func (p phone) opensFile(content string) {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "codes.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.chooses("#file", file)
}

// chooses gives the page a file as its chooser does.
func (p phone) chooses(selector, file string) {
	p.t.Helper()
	p.await(`document.querySelector("` + selector + `") !== null`)
	p.do(chromedp.SetUploadFiles(chromedp.CSS(selector), []string{file}))
}

// choosesPicture adds out of a picture that the person has kept.
func (p phone) choosesPicture(m image.Image) {
	p.t.Helper()
	name := filepath.Join(p.t.TempDir(), "picture.png")
	file, err := os.Create(name)
	if err == nil {
		err = png.Encode(file, m)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	file.Close()
	p.chooses("#picture", name)
}

// portalsOwn adds a code of the gateway's own portal to three of others, out of
// a picture, and then copies, finds and renames.
func (p phone) portalsOwn(host string) {
	p.t.Helper()
	const names = `[...document.querySelectorAll("[data-entry]:not([hidden]) strong")].map((e) => e.textContent).join()`
	p.tap("Add a code")
	p.choosesPicture(image.NewGray(image.Rect(0, 0, 200, 200)))
	p.shows("No such picture was found in it.")
	p.choosesPicture(picture(p.t, "otpauth://totp/The%20Portal:joe?secret=GEZDGNBVGY3TQOJQ&issuer=The%20Portal"))
	p.shows("Add this?")
	p.tap("Add")
	p.await(names + ` === "Portal A,New,Old,The Portal"`)
	if tags := see[string](p.window, `[...document.querySelectorAll("[data-portal]")].map((e) => e.closest("[data-entry]").querySelector("strong").textContent + " " + e.textContent).join()`); tags != "The Portal of "+host {
		p.t.Errorf("what says which portal a code is of: %q", tags)
	}
	p.shoot("app-portal")

	// What is copied is what a person can paste: here into the app itself.
	call(p.tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	p.do(chromedp.Click(chromedp.CSS("[data-entry]:last-child button")))
	p.shows("Copied")
	p.tap("Add a code")
	p.do(chromedp.Focus(chromedp.CSS("[name=paste]")))
	call(p.tab, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeRawKeyDown, Key: "v", Code: "KeyV", Modifiers: 2, Commands: []string{"paste"}})
	p.await(`document.querySelector("[name=paste]").value.length === 6`)
	if fits := see[bool](p.window, `import("/otp.js").then(async ({ codeAt }) => {
		const entry = { secret: "GEZDGNBVGY3TQOJQ", algorithm: "SHA1", digits: 6, period: 30 };
		const lately = await Promise.all([0, 1, 2, 3, 4].map((n) => codeAt(entry, Date.now() - n * 30000)));
		return lately.includes(document.querySelector("[name=paste]").value); })`); !fits {
		p.t.Errorf("copied: %q, no code of the entry", see[string](p.window, `document.querySelector("[name=paste]").value`))
	}
	p.tap("Back")
	p.await(`document.querySelector("#search") !== null`)

	search := func(words string) {
		see[bool](p.window, `((box) => { box.value = `+inJS(words)+`; return box.dispatchEvent(new Event("input")); })(document.querySelector("#search"))`)
	}
	search("portal JOE")
	p.await(names + ` === "Portal A,The Portal"`)
	search("nobody")
	p.shows("Nothing matches.")
	search("")
	p.await(names + ` === "Portal A,New,Old,The Portal"`)

	see[bool](p.window, `(document.querySelectorAll("[data-entry] .more")[2].click(), true)`)
	p.types("issuer", "Older", "account", "joe at work")
	p.tap("Save")
	p.await(names + ` === "Portal A,New,Older,The Portal"`)
	p.shows("joe at work")
}
