package caddymodule

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stepgate/stepgate/internal/account"
)

const deviceSite = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
		sms file texts.jsonl
		email file mails.jsonl
	}
}
{{site}} {
	stepgate {
		policy {
			level risk_based {
				accept device_pin
				accept security_questions+pin sms+pin
				enrol  security_questions pin device
			}
			require risk_based /cases/*
			raise mfa when risk high
			default signed_in
		}
	}
	reverse_proxy {{upstream}}
}
`

const devicePIN1 = "593827"

// person at a screen, whose browser keeps its profile in a folder.
func (g *rig) seat(t *testing.T, profile string) *window {
	t.Helper()
	return &window{tab: startChromiumOn(t, profile).first(t, looks{width: 1280, scripts: true}), base: g.url}
}

// leave closes the browser as a person does, so that it writes down what it
// keeps.
func (w *window) leave() {
	w.t.Helper()
	if err := chromedp.Cancel(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// arrive goes where a private device or a PIN is needed, and signs in.
func (w *window) arrive(name string) {
	w.t.Helper()
	w.open(w.base + "/cases/1?q=1")
	w.signIn(name)
}

func (w *window) questions(choose bool) {
	w.t.Helper()
	for i, answer := range []string{"Mrs Llewellyn", "Heol y Bont", "a ring"} {
		n := string(rune('1' + i))
		if choose {
			see[bool](w, `(document.querySelector("select[name=question_`+n+`]").selectedIndex = `+n+`, true)`)
		}
		w.fill("answer_"+n, answer)
	}
	w.press(submitButton)
}

func (w *window) choose(device string) {
	w.t.Helper()
	w.at("/.stepgate/enrol/device")
	w.press(`input[value=` + device + `]`)
	w.await(`document.querySelector("input[value=` + device + `]").checked`)
	w.press(submitButton)
}

func (w *window) pin(pin string) {
	w.t.Helper()
	w.await(`!document.querySelector("input[name=pin]").matches(":disabled")`)
	w.fill("pin", pin)
	w.press(submitButton)
}

// firstVisit is the story's first visit on a private device.
func (w *window) firstVisit(name string) {
	w.t.Helper()
	w.arrive(name)
	w.at("/.stepgate/enrol/security_questions")
	w.fits("questions")
	w.questions(true)
	w.at("/.stepgate/enrol/pin")
	w.fits("pin-choose")
	w.fill("pin_again", devicePIN1)
	w.pin(devicePIN1)
	w.at("/.stepgate/enrol/device")
	w.fits("device")
	w.choose("private")
	w.at("/cases/1")
}

func (w *window) endSession() {
	w.t.Helper()
	call(w.tab, network.DeleteCookies, network.DeleteCookiesParams{Name: "stepgate-" + w.url().Port(), URL: w.base})
}

func (w *window) device() string {
	w.t.Helper()
	return see[string](w, `fetch("/.stepgate/status").then(r => r.json()).then(s => s.device)`)
}

// mailed waits until a mail of that subject has gone out.
func (g *rig) mailed(subject string) {
	g.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		mails, _ := os.ReadFile(filepath.Join(g.dir, "mails.jsonl")) // not there before the first
		if strings.Contains(string(mails), subject) {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("no mail says %q:\n%s", subject, mails)
		}
	}
}

// tellsNoPIN does what a thief can with a copied profile and a page that asks
// for its PIN: for each PIN there is a private key, and nothing that the
// browser has written down, or is shown, belongs to the right one more than to
// others.
func (g *rig) tellsNoPIN(w *window, profile string) {
	g.t.Helper()
	asked := see[string](w, `document.querySelector("form[data-device]").dataset.device`)
	var o struct{ Key, Share string }
	stored := see[string](w, `new Promise((done) => {
		const open = indexedDB.open("stepgate-soft-token");
		open.onsuccess = () => { const all = open.result.transaction("tokens").objectStore("tokens").getAll(); all.onsuccess = () => done(btoa(String.fromCharCode(...new Uint8Array(all.result[0].masked)))); };
	})`)
	masked, err := base64.StdEncoding.DecodeString(stored)
	share, shareErr := []byte(nil), json.Unmarshal([]byte(asked), &o)
	if shareErr == nil {
		share, shareErr = base64.RawURLEncoding.DecodeString(o.Share)
	}
	if err := errors.Join(err, shareErr); err != nil || len(masked) != 32 {
		g.t.Fatalf("stored %q: %v", stored, err)
	}
	var everything []byte
	err = filepath.WalkDir(profile, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			text, _ := os.ReadFile(path) // a lock may be gone by now
			everything = append(everything, text...)
		}
		return err
	})
	if err != nil || !bytes.Contains(everything, masked) {
		g.t.Fatalf("what the browser stores is not found in its %d bytes: %v", len(everything), err)
	}
	n := elliptic.P256().Params().N
	for _, pin := range []string{devicePIN1, "593828", "000000"} {
		salt := append(append([]byte{}, share...), []byte(o.Key+" "+w.base)...)
		mask, err := pbkdf2.Key(sha256.New, pin, salt, 600000, 48)
		if err != nil {
			g.t.Fatal(err)
		}
		d := new(big.Int).Mod(new(big.Int).Sub(new(big.Int).SetBytes(masked), new(big.Int).SetBytes(mask)), n)
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
		if err != nil {
			g.t.Fatalf("%s leaves no key: %v", pin, err)
		}
		point, _ := key.PublicKey.Bytes()
		if right := bytes.Equal(point, g.keptPoint(o.Key)); right != (pin == devicePIN1) {
			g.t.Fatalf("%s leaves the key that was made: %t", pin, right)
		}
		for _, secret := range [][]byte{point, point[1:33], d.FillBytes(make([]byte, 32))} {
			for _, form := range []string{string(secret), base64.StdEncoding.EncodeToString(secret)[:40], base64.RawURLEncoding.EncodeToString(secret)[:40], hex.EncodeToString(secret)} {
				if bytes.Contains(everything, []byte(form)) || strings.Contains(asked, form) {
					g.t.Errorf("the browser has what tells %s from other PINs", pin)
				}
			}
		}
	}
}

// keptPoint is the public key that the gateway keeps of a token.
func (g *rig) keptPoint(name string) []byte {
	g.t.Helper()
	joe, err := active.Load().store.AccountByUsername(g.t.Context(), account.LocalSource, "joe")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, c := range g.credentials(joe.ID) {
		var kept struct {
			Key    string `json:"key"`
			Public []byte `json:"public"`
		}
		if json.Unmarshal(c.Secret.Reveal(), &kept) == nil && kept.Key == name {
			return kept.Public
		}
	}
	return nil
}

func TestAPrivateDeviceInARealBrowser(t *testing.T) {
	g := startGateway(t, deviceSite, nil)
	g.addUser("joe")
	home := profileFolder(t)
	w := g.seat(t, filepath.Join(home, "profile"))
	w.firstVisit("joe")
	g.mailed("A private device was added")
	if stored := see[string](w, `new Promise((done) => {
		const open = indexedDB.open("stepgate-soft-token");
		open.onsuccess = () => { const all = open.result.transaction("tokens").objectStore("tokens").getAll(); all.onsuccess = () => done(all.result.map((r) => Object.keys(r).sort() + " " + r.masked.length).join()); };
	})`); stored != "key,masked 32" {
		t.Errorf("the browser stores %q", stored)
	}

	w.endSession()
	w.arrive("joe")
	w.at("/.stepgate/challenge/device_pin")
	w.fits("device-pin")
	w.pin("593828")
	w.await(`document.body.innerText.includes("not correct")`)
	w.fits("device-pin-wrong")
	w.pin(devicePIN1)
	w.at("/cases/1")
	w.open(w.base + "/.stepgate/account")
	w.fits("account-devices")
	for _, words := range []string{"It is a private device until", "Browsers that are asked less"} {
		if text := w.text(); !strings.Contains(text, words) {
			t.Errorf("the account's page has no %q:\n%s", words, text)
		}
	}
	t.Run("timed out", func(t *testing.T) {
		g.load(strings.Replace(deviceSite, "sms file", "session {\nidle 2s\n}\nsms file", 1))
		waitFor(t, func() bool {
			time.Sleep(2500 * time.Millisecond) // in which nothing is heard of the session
			return strings.Contains(see[string](w, `fetch("/.stepgate/status").then(r => r.text())`), `"signed_in":false`)
		})
		g.load(deviceSite)
		w.arrive("joe") // the password again, and the PIN again
		w.at("/.stepgate/challenge/device_pin")
		w.pin(devicePIN1)
		w.at("/cases/1")
	})
	w.leave()

	if err := os.CopyFS(filepath.Join(home, "copy"), os.DirFS(filepath.Join(home, "profile"))); err != nil {
		t.Log(err) // locks of the browser are no files
	}
	for _, profile := range []string{"profile", "copy"} {
		t.Run("restarted from "+profile, func(t *testing.T) {
			w := g.seat(t, filepath.Join(home, profile))
			w.arrive("joe")
			w.at("/.stepgate/challenge/device_pin")
			if profile == "copy" {
				g.tellsNoPIN(w, filepath.Join(home, profile))
			}
			w.pin("847261") // who copied it has no PIN
			w.await(`document.body.innerText.includes("not correct")`)
			w.pin(devicePIN1)
			w.at("/cases/1")
			w.leave()
		})
	}

	t.Run("with its key cleared", func(t *testing.T) {
		w := g.seat(t, filepath.Join(home, "profile"))
		w.open(w.base + "/.stepgate/sign-out")
		see[bool](w, `new Promise((done) => { indexedDB.deleteDatabase("stepgate-soft-token").onsuccess = () => done(true); })`)
		w.arrive("joe")
		w.at("/.stepgate/challenge/device_pin")
		w.await(`!!document.querySelector("[data-device-says=lost]").offsetParent`)
		w.fits("device-lost")
		w.press(`a[href*="all=1"]`)
		w.press(`a[href*="/challenge/security_questions"]`)
		w.at("/.stepgate/challenge/security_questions")
		w.questions(false)
		w.choose("private")
		w.at("/.stepgate/enrol/device_pin")
		w.pin(devicePIN1)
		w.at("/cases/1")
		w.endSession()
		w.arrive("joe")
		w.at("/.stepgate/challenge/device_pin")
		w.press(`a[href*="/challenge/pin/forgot"]`)
		w.at("/.stepgate/challenge/security_questions")
		w.questions(false)
		w.at("/.stepgate/challenge/pin/forgot")
		w.fits("pin-forgotten")
		w.fill("pin_again", "847261")
		w.pin("847261")
		w.at("/cases/1")
		if got := w.device(); got != "private" {
			t.Errorf("after a new PIN the device is %q", got)
		}
		w.endSession()
		w.arrive("joe")
		w.pin("847261")
		w.at("/cases/1")
	})
}

func TestAPublicDeviceInARealBrowser(t *testing.T) {
	g := startGateway(t, deviceSite, nil)
	g.addUser("joe")
	w := g.window(t)
	w.arrive("joe")
	w.at("/.stepgate/enrol/security_questions")
	w.questions(true)
	w.at("/.stepgate/enrol/pin")
	w.fill("pin_again", devicePIN1)
	w.pin(devicePIN1)
	w.choose("public")
	w.at("/cases/1")
	if got := w.device(); got != "public" {
		t.Errorf("device %q", got)
	}
	if left := see[int](w, `new Promise((done) => {
		const open = indexedDB.open("stepgate-soft-token");
		open.onsuccess = () => { const n = open.result.transaction("tokens").objectStore("tokens").count(); n.onsuccess = () => done(n.result); };
	})`); left != 0 {
		t.Errorf("%d keys are left", left)
	}
	got, err := chromedp.Call(w.ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range got.Cookies {
		if !c.Session {
			t.Errorf("cookie %s outlives the browser", c.Name)
		}
	}
	w.forget()
	w.arrive("joe")
	w.at("/.stepgate/challenge/security_questions")
	w.questions(false)
	w.choose("public")
	w.at("/.stepgate/challenge/pin")
	w.fits("pin")
	w.pin(devicePIN1)
	w.at("/cases/1")

	t.Run("without scripts", func(t *testing.T) {
		b := startChromium(t).profile(t, looks{width: 360})
		b.open(g.url + "/cases/1").signIn("joe").at("/challenge/security_questions")
		b.fill("answer_1", "Mrs Llewellyn", "answer_2", "Heol y Bont", "answer_3", "a ring").press(submitButton)
		b.at("/enrol/device").says("cannot be private").shoot("device")
	})

	t.Run("a text instead of the questions", func(t *testing.T) {
		joe, err := active.Load().store.AccountByUsername(t.Context(), account.LocalSource, "joe")
		if err != nil {
			t.Fatal(err)
		}
		g.holdsPhone(joe, "+447700900609")
		w.forget()
		w.arrive("joe")
		w.at("/.stepgate/challenge")
		w.fits("questions-or-text")
		w.press(`a[href*="/challenge/sms"]`)
		w.fill("code", g.codeTo("texts.jsonl", "+447700900609", func() { w.press("main form button[value=send]") }))
		w.press("main form button[value=verify], " + submitButton)
		w.choose("private")
		w.at("/.stepgate/enrol/device_pin")
		w.pin(devicePIN1)
		w.at("/cases/1")
		if got := w.device(); got != "private" {
			t.Errorf("device %q", got)
		}
	})
}
