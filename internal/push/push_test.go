package push

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func derive(n byte) []byte { sum := sha256.Sum256([]byte{n, 1}); return sum[:] }

// listener is a browser with a subscription at a push service.
type listener struct {
	key  *ecdh.PrivateKey
	auth []byte
	to   Subscription
}

func newListener(endpoint string) *listener {
	key, _ := ecdh.P256().GenerateKey(rand.Reader)
	auth := make([]byte, 16)
	rand.Read(auth)
	text := base64.RawURLEncoding.EncodeToString
	return &listener{key, auth, Subscription{endpoint, text(key.PublicKey().Bytes()), text(auth)}}
}

// opened decrypts a message (RFC 8188 §2.1, RFC 8291 §3.4).
func (l *listener) opened(t *testing.T, body []byte) string {
	t.Helper()
	if len(body) < 86 || body[20] != 65 {
		t.Fatalf("%d bytes that begin with no header of aes128gcm", len(body))
	}
	salt, size, theirs, record := body[:16], binary.BigEndian.Uint32(body[16:20]), body[21:86], body[86:]
	if int(size) < len(record) {
		t.Errorf("a record of %d bytes is %d long", size, len(record))
	}
	sender, err := ecdh.P256().NewPublicKey(theirs)
	if err != nil {
		t.Fatal(err)
	}
	agreed, err := l.key.ECDH(sender)
	if err != nil {
		t.Fatal(err)
	}
	info := "WebPush: info\x00" + string(l.key.PublicKey().Bytes()) + string(theirs)
	ikm, _ := hkdf.Key(sha256.New, agreed, l.auth, info, 32)
	key, _ := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	nonce, _ := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	block, _ := aes.NewCipher(key)
	gcm, _ := cipher.NewGCM(block)
	plain, err := gcm.Open(nil, nonce, record, nil)
	if err != nil {
		t.Fatalf("the message does not open: %v", err)
	}
	text := strings.TrimRight(string(plain), "\x00")
	if !strings.HasSuffix(text, "\x02") {
		t.Errorf("the last record ends with %q", text[len(text)-1:])
	}
	return strings.TrimSuffix(text, "\x02")
}

// vouched checks who says that they send (RFC 8292 §2, §3).
func vouched(t *testing.T, header, audience, publicKey string) {
	t.Helper()
	rest, ok := strings.CutPrefix(header, "vapid ")
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	parts := strings.Split(fields["t"], ".")
	if !ok || len(parts) != 3 || strings.TrimRight(fields["k"], "=") != publicKey {
		t.Fatalf("Authorization: %s", header)
	}
	raw := func(text string) []byte {
		b, _ := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		return b
	}
	var head struct{ Alg string }
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if json.Unmarshal(raw(parts[0]), &head) != nil || json.Unmarshal(raw(parts[1]), &claims) != nil {
		t.Fatal("the token is no JWT")
	}
	left := time.Until(time.Unix(claims.Exp, 0))
	if head.Alg != "ES256" || claims.Aud != audience || claims.Sub != "https://auth.example.gov" || left <= 0 || left > 24*time.Hour {
		t.Errorf("%+v %+v", head, claims)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw(publicKey))
	if err != nil {
		t.Fatal(err)
	}
	sum, signature := sha256.Sum256([]byte(parts[0]+"."+parts[1])), raw(parts[2])
	if len(signature) != 64 || !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Error("the token is signed by somebody else")
	}
}

// service is a push service on this machine, which the operator has written out.
func service(t *testing.T, answer http.HandlerFunc) (*Sender, string) {
	t.Helper()
	s := httptest.NewTLSServer(answer)
	t.Cleanup(s.Close)
	sender, err := New("https://auth.example.gov", derive, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	sender.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	return sender, s.URL
}

func TestAServiceThatKnowsTheStandardTakesTheMessage(t *testing.T) {
	var l *listener
	var sender *Sender
	var origin string
	came := 0
	sender, origin = service(t, func(w http.ResponseWriter, r *http.Request) {
		came++
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/to/joe" || r.Header.Get("Content-Encoding") != "aes128gcm" || r.Header.Get("TTL") != "600" || r.Header.Get("Urgency") != "high" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		vouched(t, r.Header.Get("Authorization"), origin, sender.PublicKey())
		if said := l.opened(t, body); said != message {
			t.Errorf("it says %q", said)
		}
		w.WriteHeader(http.StatusCreated)
	})
	l = newListener(origin + "/to/joe")
	if err := sender.Send(t.Context(), l.to); err != nil || came != 1 {
		t.Errorf("%d came: %v", came, err)
	}
	again, _ := New("https://auth.example.gov", derive, nil)
	if again.PublicKey() != sender.PublicKey() {
		t.Error("the key is another one each time")
	}
}

func TestServicesThatAreGoneSlowOrLying(t *testing.T) {
	var elsewhere atomic.Int32
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer trap.Close()
	hold := make(chan struct{})
	defer close(hold)
	sender, origin := service(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/unknown":
			w.WriteHeader(http.StatusNotFound)
		case "/elsewhere":
			http.Redirect(w, r, trap.URL, http.StatusTemporaryRedirect)
		case "/slow":
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		case "/endless":
			w.WriteHeader(http.StatusCreated)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	send := func(path string, within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return sender.Send(ctx, newListener(origin+path).to)
	}
	for path, want := range map[string]error{"/gone": ErrGone, "/unknown": ErrGone} {
		if err := send(path, time.Minute); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"/elsewhere", "/broken"} {
		if err := send(path, time.Minute); err == nil || errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
	if err := send("/slow", 200*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v", err)
	}
	if err := send("/endless", time.Minute); err != nil {
		t.Errorf("endless: %v", err)
	}
}

// TestNobodySendsTheGatewayIntoTheOperatorsNetwork asks for endpoints of all
// kinds, by number and by name.
func TestNobodySendsTheGatewayIntoTheOperatorsNetwork(t *testing.T) {
	var reached atomic.Int32
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	all, err := New("https://auth.example.gov", derive, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range []string{
		"http://push.example.com/x", "https://127.0.0.1" + port + "/x", "https://[::1]" + port + "/x", "https://169.254.169.254/latest/meta-data/",
		"https://[fd00:ec2::254]/latest", "https://10.0.0.1/", "https://192.168.1.1/", "https://172.16.0.1/", "https://100.64.0.1/", "https://0.0.0.0/",
		"https://[::ffff:127.0.0.1]" + port + "/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[fe80::1]/", "https://224.0.0.1/",
		"https://user@push.example.com/", "https://push.example.com/#x", "ftp://push.example.com/", "//push.example.com/", "https://" + strings.Repeat("a", 2000) + "/",
		// Names, and other ways to write a number: only what they resolve to tells.
		"https://localhost" + port + "/x", "https://2130706433" + port + "/", "https://0x7f000001" + port + "/", "https://127.1" + port + "/",
	} {
		err := all.Send(t.Context(), newListener(endpoint).to)
		if err == nil {
			t.Errorf("%s was sent to", endpoint)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the inside was reached %d times", n)
	}
	for _, a := range []string{"127.0.0.1", "::1", "169.254.169.254", "10.1.2.3", "100.64.0.9", "192.0.2.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd12::1", "fe80::1", "ff02::1", "0.0.0.0", "255.255.255.255"} {
		if public(netip.MustParseAddr(a)) {
			t.Errorf("%s is taken for public", a)
		}
	}
	for _, a := range []string{"1.1.1.1", "142.250.0.1", "2606:4700::1111"} {
		if !public(netip.MustParseAddr(a)) {
			t.Errorf("%s is not taken for public", a)
		}
	}
	listed, _ := New("https://auth.example.gov", derive, []string{"push.example.org", "*.push.example.net"})
	for host, want := range map[string]bool{
		"push.example.org": true, "PUSH.example.org": true, "a.push.example.net": true, "push.example.net": false, "evilpush.example.net": false,
		"push.example.org.evil.test": false, "example.org": false,
	} {
		if err := listed.Check(newListener("https://" + host + "/x").to); (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
	if err := all.Check(Subscription{"https://push.example.com/x", "AAAA", "AAAA"}); err == nil {
		t.Error("keys that are none were taken")
	}
}

// TestAStormIsNoStorm sends more than is under way at once.
func TestAStormIsNoStorm(t *testing.T) {
	hold := make(chan struct{})
	var came atomic.Int32
	sender, origin := service(t, func(w http.ResponseWriter, _ *http.Request) {
		came.Add(1)
		<-hold
	})
	to := newListener(origin + "/x").to
	done := make(chan struct{}, 10*atOnce)
	for range 10 * atOnce {
		sender.Later(to, func(context.Context, error) { done <- struct{}{} })
	}
	for deadline := time.Now().Add(90 * time.Second); came.Load() < atOnce && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	close(hold)
	for range atOnce {
		<-done
	}
	if n := came.Load(); n != atOnce {
		t.Errorf("%d came", n)
	}
}

// transport is a push service that takes its time.
type transport func(r *http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// TestTheEndWaits stops a sender with messages under way: to a service that
// answers, and to one that never does.
func TestTheEndWaits(t *testing.T) {
	for _, tt := range []struct {
		name          string
		takes, waited time.Duration
		sent          bool
	}{
		{"for an answer", time.Second, time.Second, true},
		{"no longer than a moment", time.Hour, grace, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sender, err := New("https://auth.example.gov", derive, nil)
				if err != nil {
					t.Fatal(err)
				}
				sender.client.Transport = transport(func(r *http.Request) (*http.Response, error) {
					select {
					case <-time.After(tt.takes):
						return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody}, nil
					case <-r.Context().Done():
						return nil, r.Context().Err()
					}
				})
				to, begun, done := newListener("https://push.example.com/x").to, time.Now(), 0
				sender.Later(to, func(_ context.Context, err error) {
					if done++; (err == nil) != tt.sent {
						t.Errorf("sent: %v", err)
					}
				})
				sender.Stop()
				if waited := time.Since(begun); done != 1 || waited != tt.waited {
					t.Errorf("after %s %d were done", waited, done)
				}
				sender.Later(to, func(context.Context, error) { t.Error("sent after the end") })
				synctest.Wait()
			})
		})
	}
}
