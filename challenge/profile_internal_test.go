package challenge

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"math/big"
	"regexp"
	"strings"
	"testing"
)

// profile is a browser with the script of a private device: what it stores, by
// the key's name, is the private key hidden behind a PIN.
type profile struct {
	*browser
	tokens map[string]*big.Int
}

func (k *rig) profile() *profile { return &profile{k.browser(), map[string]*big.Int{}} }

// copied is a copy of the profile in another browser.
func (p *profile) copied() *profile {
	tokens := map[string]*big.Int{}
	for key, masked := range p.tokens {
		tokens[key] = masked
	}
	return &profile{p.fork(), tokens}
}

// scriptOptions are what a page gives its script.
type scriptOptions struct{ Kind, Key, Share, Server, Challenge, Account, Purpose, Transaction string }

var deviceOptions = regexp.MustCompile(`data-device="([^"]*)"`)

func optionsOf(t *testing.T, s sheet) (o scriptOptions) {
	t.Helper()
	found := deviceOptions.FindStringSubmatch(s.text)
	if found == nil {
		t.Fatalf("no script at %s: %d %s", s.at, s.status, s.text)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(found[1])), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// mask is the number of a PIN, cheaper than the script's.
func mask(pin string, o scriptOptions) *big.Int {
	a, b := sha256.Sum256([]byte("1"+pin+o.Share+o.Key)), sha256.Sum256([]byte("2"+pin+o.Share+o.Key))
	return new(big.Int).Mod(new(big.Int).SetBytes(append(a[:], b[:]...)), elliptic.P256().Params().N)
}

func statementOf(o scriptOptions, kind, origin string) []byte {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		"stepgate soft token, version 1", kind, origin, o.Account, o.Purpose, o.Transaction, o.Key, o.Challenge,
	}, "\n")))
	return sum[:]
}

func sign(t *testing.T, d *big.Int, sum []byte) []byte {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	r, s, err := ecdsa.Sign(rand.Reader, key, sum)
	if err != nil {
		t.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func letter(t *testing.T, server string, plain []byte) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(server)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ecdh.P256().NewPublicKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	own, _ := ecdh.P256().GenerateKey(rand.Reader)
	agreed, _ := own.ECDH(theirs)
	half := own.PublicKey().Bytes()
	key, _ := hkdf.Key(sha256.New, agreed, append(append([]byte{}, half...), raw...), "stepgate soft token answer", 32)
	block, _ := aes.NewCipher(key)
	gcm, _ := cipher.NewGCM(block)
	return base64.RawURLEncoding.EncodeToString(append(half, gcm.Seal(nil, make([]byte, 12), plain, nil)...))
}

// make does what the script does with a new PIN.
func (p *profile) make(s sheet, pin string) string {
	p.k.t.Helper()
	o := optionsOf(p.k.t, s)
	if o.Kind != "make" {
		p.k.t.Fatalf("%s is for %q", s.at, o.Kind)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.k.t.Fatal(err)
	}
	raw, _ := key.Bytes()
	d := new(big.Int).SetBytes(raw)
	point, _ := key.PublicKey.Bytes()
	p.tokens[o.Key] = new(big.Int).Mod(new(big.Int).Add(d, mask(pin, o)), elliptic.P256().Params().N)
	return letter(p.k.t, o.Server, append(point, sign(p.k.t, d, statementOf(o, "make", rigOrigin))...))
}

// use does what the script does with a PIN that is asked for.
func (p *profile) use(s sheet, pin string) string {
	p.k.t.Helper()
	o := optionsOf(p.k.t, s)
	masked := p.tokens[o.Key]
	if o.Kind != "use" || masked == nil {
		p.k.t.Fatalf("%s is for %q of a key that is here: %t", s.at, o.Kind, masked != nil)
	}
	return letter(p.k.t, o.Server, sign(p.k.t, p.unmasked(o, pin), statementOf(o, "use", rigOrigin)))
}

func (p *profile) unmasked(o scriptOptions, pin string) *big.Int {
	return new(big.Int).Mod(new(big.Int).Sub(p.tokens[o.Key], mask(pin, o)), elliptic.P256().Params().N)
}

func (p *profile) unlock(s sheet, pin string) sheet {
	p.k.t.Helper()
	return p.send(s, map[string]string{"credential": p.use(s, pin)})
}
