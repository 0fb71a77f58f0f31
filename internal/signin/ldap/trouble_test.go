package ldap_test

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	ldapclient "github.com/go-ldap/ldap/v3"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/ldap"
)

// serve answers each connection with one function.
func serve(t *testing.T, answer func(net.Conn)) (url string, connections *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	connections = new(atomic.Int32)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			t.Cleanup(func() { conn.Close() })
			go answer(conn)
		}
	}()
	return "ldap://" + l.Addr().String(), connections
}

// conversation answers each request of a connection with the packets that a
// function makes of it.
func conversation(say func(request *ber.Packet) []*ber.Packet) func(net.Conn) {
	return func(conn net.Conn) {
		for {
			packet, err := ber.ReadPacket(conn)
			if err != nil || len(packet.Children) < 2 {
				return
			}
			for _, body := range say(packet.Children[1]) {
				reply(conn, packet.Children[0].Value.(int64), body)
			}
		}
	}
}

func referral(tag ber.Tag, to string) *ber.Packet {
	r := result(tag, ldapclient.LDAPResultReferral, "")
	urls := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "")
	urls.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, to, ""))
	r.AppendChild(urls)
	return r
}

func TestAServerThatIsOfNoUseIsNoRefusal(t *testing.T) {
	for name, answer := range map[string]func(net.Conn){
		"silent":   func(net.Conn) {},
		"garbage":  func(conn net.Conn) { conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) },
		"hangs up": func(conn net.Conn) { conn.Close() },
		"busy": conversation(func(request *ber.Packet) []*ber.Packet {
			return []*ber.Packet{result(request.Tag+1, ldapclient.LDAPResultBusy, "")}
		}),
		"another's answer": conversation(func(*ber.Packet) []*ber.Packet {
			return []*ber.Packet{result(ldapclient.ApplicationCompareResponse, 0, "")}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, answer)
			s := open(t, ldap.Config{
				Servers: []string{url}, Insecure: true, BaseDN: "dc=county,dc=test", BindDN: "cn=reader", BindPassword: "x", Timeout: 300 * time.Millisecond,
			})
			began := time.Now()
			_, err := s.CheckPassword(t.Context(), "joe", account.Secret("joe-Pass1"))
			if err == nil || errors.Is(err, signin.ErrRefused) {
				t.Errorf("%v; want a technical error", err)
			}
			if _, err := s.Recheck(t.Context(), "joe"); err == nil || errors.Is(err, signin.ErrRefused) {
				t.Errorf("looked up again: %v; want a technical error", err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestReferralsAreNotFollowed has a server that points elsewhere at each step:
// nobody is spoken to there, and no password goes there.
func TestReferralsAreNotFollowed(t *testing.T) {
	elsewhere, connections := serve(t, func(net.Conn) {})
	reference := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldapclient.ApplicationSearchResultReference, nil, "")
	reference.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, elsewhere+"/dc=county,dc=test", ""))
	success := func(tag ber.Tag) *ber.Packet { return result(tag, 0, "") }
	joe := entry("uid=joe,dc=county,dc=test", map[string][]string{"uid": {"joe"}, "entryUUID": {"9f6ee3c0-0000-4000-8000-000000000001"}})
	for name, say := range map[string]func(*ber.Packet) []*ber.Packet{
		"of the reader": func(request *ber.Packet) []*ber.Packet { return []*ber.Packet{referral(request.Tag+1, elsewhere)} },
		"of the search": func(request *ber.Packet) []*ber.Packet {
			if request.Tag == ldapclient.ApplicationSearchRequest {
				return []*ber.Packet{reference, referral(ldapclient.ApplicationSearchResultDone, elsewhere)}
			}
			return []*ber.Packet{success(ldapclient.ApplicationBindResponse)}
		},
		"of the entry": func(request *ber.Packet) []*ber.Packet {
			if request.Tag == ldapclient.ApplicationSearchRequest {
				return []*ber.Packet{reference, success(ldapclient.ApplicationSearchResultDone)}
			}
			return []*ber.Packet{success(ldapclient.ApplicationBindResponse)}
		},
		"of the comparison": func(request *ber.Packet) []*ber.Packet {
			switch {
			case request.Tag == ldapclient.ApplicationSearchRequest:
				return []*ber.Packet{joe, success(ldapclient.ApplicationSearchResultDone)}
			case request.Children[1].Value == "cn=reader":
				return []*ber.Packet{success(ldapclient.ApplicationBindResponse)}
			default:
				return []*ber.Packet{referral(ldapclient.ApplicationBindResponse, elsewhere)}
			}
		},
	} {
		url, _ := serve(t, conversation(say))
		s := open(t, ldap.Config{
			Servers: []string{url}, Insecure: true, BaseDN: "dc=county,dc=test", BindDN: "cn=reader", BindPassword: "x", Timeout: time.Second,
		})
		if who, err := s.CheckPassword(t.Context(), "joe", account.Secret("joe-Pass1")); err == nil {
			t.Errorf("%s: %+v", name, who)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections elsewhere", n)
	}
}

// TestAnEntryWithoutAnIdentifierSignsNobodyIn has an entry that nobody could be
// known by tomorrow, and one that names nobody.
func TestAnEntryWithoutAnIdentifierSignsNobodyIn(t *testing.T) {
	for name, found := range map[string]*ber.Packet{
		"no identifier": entry("uid=joe,dc=county,dc=test", map[string][]string{"uid": {"joe"}}),
		"half a GUID":   entry("uid=joe,dc=county,dc=test", map[string][]string{"uid": {"joe"}, "objectGUID": {"short"}}),
		"no name":       entry("", map[string][]string{"uid": {"joe"}, "entryUUID": {"9f6ee3c0-0000-4000-8000-000000000001"}}),
	} {
		url, _ := serve(t, conversation(func(request *ber.Packet) []*ber.Packet {
			if request.Tag == ldapclient.ApplicationSearchRequest {
				return []*ber.Packet{found, result(ldapclient.ApplicationSearchResultDone, 0, "")}
			}
			return []*ber.Packet{result(ldapclient.ApplicationBindResponse, 0, "")}
		}))
		s := open(t, ldap.Config{Servers: []string{url}, Insecure: true, BaseDN: "dc=county,dc=test", BindDN: "cn=reader", BindPassword: "x"})
		if who, err := s.CheckPassword(t.Context(), "joe", account.Secret("joe-Pass1")); err == nil {
			t.Errorf("%s: %+v", name, who)
		}
	}
}
