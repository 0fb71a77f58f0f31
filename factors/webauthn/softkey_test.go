package webauthn_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// softKey is an authenticator and its browser in one, which can be made to
// lie about everything. It writes authenticator data by hand (§6.1).
type softKey struct {
	t       *testing.T
	id      []byte
	alg     int64
	private crypto.Signer

	origin, rp  string
	crossOrigin bool
	topOrigin   string
	kind        string // of client data; empty for the right one
	flags       byte
	counter     uint32
	model       [16]byte
	userHandle  []byte
	// tamper alters the authenticator data after it was signed.
	tamper func(data []byte)
}

const (
	flagUP, flagUV, flagBE, flagBS, flagAT = 1, 4, 8, 16, 64

	algES256, algEdDSA, algRS256, algES256K = -7, -8, -257, -47
)

func newSoftKey(t *testing.T, alg int64) *softKey {
	t.Helper()
	k := &softKey{t: t, id: make([]byte, 32), alg: alg, origin: site, rp: rpID, flags: flagUP | flagUV}
	rand.Read(k.id)
	var err error
	switch alg {
	case algEdDSA:
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	case algRS256:
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// asked is what the page's script was given.
type asked struct {
	Kind      string `json:"kind"`
	PublicKey struct {
		Challenge string `json:"challenge"`
		RPID      string `json:"rpId"`
		User      struct {
			ID, Name, DisplayName string
		} `json:"user"`
		RP struct{ ID, Name string } `json:"rp"`
		// The lists of keys.
		ExcludeCredentials []struct{ ID string } `json:"excludeCredentials"`
		AllowCredentials   []struct{ ID string } `json:"allowCredentials"`
		UserVerification   string                `json:"userVerification"`
		Attestation        string                `json:"attestation"`
		Timeout            int                   `json:"timeout"`
		PubKeyCredParams   []struct {
			Alg int64 `json:"alg"`
		} `json:"pubKeyCredParams"`
		AuthenticatorSelection struct{ ResidentKey, UserVerification string } `json:"authenticatorSelection"`
	} `json:"publicKey"`
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (k *softKey) clientData(kind, challenge string) []byte {
	if k.kind != "" {
		kind = k.kind
	}
	data := map[string]any{"type": kind, "challenge": challenge, "origin": k.origin, "crossOrigin": k.crossOrigin}
	if k.topOrigin != "" {
		data["topOrigin"] = k.topOrigin
	}
	return must(json.Marshal(data))
}

func (k *softKey) cosePublic() []byte {
	switch public := k.private.Public().(type) {
	case *ecdsa.PublicKey:
		raw := must(public.Bytes())
		return must(cbor.Marshal(map[int]any{1: 2, 3: k.alg, -1: 1, -2: raw[1:33], -3: raw[33:]}))
	case ed25519.PublicKey:
		return must(cbor.Marshal(map[int]any{1: 1, 3: k.alg, -1: 6, -2: []byte(public)}))
	case *rsa.PublicKey:
		return must(cbor.Marshal(map[int]any{1: 3, 3: k.alg, -1: public.N.Bytes(), -2: []byte{1, 0, 1}}))
	default:
		panic("no such key")
	}
}

func (k *softKey) head(flags byte) []byte {
	hash := sha256.Sum256([]byte(k.rp))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), k.counter)
}

// create answers navigator.credentials.create with attestation none.
func (k *softKey) create(a asked) string {
	k.t.Helper()
	k.userHandle = must(base64.RawURLEncoding.DecodeString(a.PublicKey.User.ID))
	data := append(k.head(k.flags|flagAT), k.model[:]...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(k.id)))
	data = append(append(data, k.id...), k.cosePublic()...)
	object := must(cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data}))
	return k.json(map[string]any{
		"clientDataJSON": b64(k.clientData("webauthn.create", a.PublicKey.Challenge)), "attestationObject": b64(object),
		"transports": []string{"usb"},
	})
}

// get answers navigator.credentials.get. The counter goes up first.
func (k *softKey) get(a asked) string {
	k.t.Helper()
	k.counter++
	return k.sign(a)
}

func (k *softKey) sign(a asked) string {
	k.t.Helper()
	data, client := k.head(k.flags), k.clientData("webauthn.get", a.PublicKey.Challenge)
	clientHash := sha256.Sum256(client)
	message := append(append([]byte{}, data...), clientHash[:]...)
	var signature []byte
	if k.alg == algEdDSA {
		signature = must(k.private.Sign(rand.Reader, message, crypto.Hash(0)))
	} else {
		digest := sha256.Sum256(message)
		signature = must(k.private.Sign(rand.Reader, digest[:], crypto.SHA256))
	}
	if k.tamper != nil {
		k.tamper(data)
	}
	response := map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature)}
	if k.userHandle != nil {
		response["userHandle"] = b64(k.userHandle)
	}
	return k.json(response)
}

func (k *softKey) json(response map[string]any) string {
	return string(must(json.Marshal(map[string]any{
		"id": b64(k.id), "rawId": b64(k.id), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{},
		"authenticatorAttachment": "cross-platform",
	})))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
