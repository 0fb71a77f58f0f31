package caddymodule

import (
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/legacytest"
)

func TestAStoreThatIsNotThereYetIsWaitedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a database server")
	}
	there, err := url.Parse(legacytest.StartPostgres(t))
	if err != nil {
		t.Fatal(err)
	}
	yet := *there
	yet.Host = legacytest.FreeAddr(t)
	head := strings.Replace(testHead, "store sqlite {{dir}}/stepgate.db", "store postgres "+strconv.Quote(yet.String())+"\n\t\tkey_file {{dir}}/stepgate.key", 1)
	g := startGateway(t, head+walkSite, nil)
	b := g.browser()
	b.get("/assets/x").want(200, "/assets/x")
	b.get("/cases/1").want(503, "/cases/1")
	b.get("/cases/1", fetch).want(503, "")
	b.get("/debug/1").want(403, "")
	b.get("/.stepgate/sign-in").want(503, "")
	b.get("/.stepgate/health").want(503, "")

	server, err := net.Listen("tcp", yet.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		for {
			client, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				if behind, err := net.Dial("tcp", there.Host); err == nil {
					go io.Copy(behind, client)
					io.Copy(client, behind)
				}
			}()
		}
	}()
	waitFor(t, func() bool { return b.get("/.stepgate/health").status == 204 })
	g.addUser("joe")
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
}

func TestAStoreThatRefusesStopsTheStart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a database server")
	}
	dsn, err := url.Parse(legacytest.StartPostgres(t))
	if err != nil {
		t.Fatal(err)
	}
	dsn.Path = "/no_such_database"
	g := &rig{t: t, dir: t.TempDir(), upstream: httptest.NewServer(nil), url: "http://" + freeAddress(t)}
	t.Cleanup(g.upstream.Close)
	head := strings.Replace(testHead, "store sqlite {{dir}}/stepgate.db", "store postgres "+strconv.Quote(dsn.String())+"\n\t\tkey_file {{dir}}/stepgate.key", 1)
	if err := g.tryLoad(head + walkSite); err == nil {
		t.Error("it started")
		stopGateway()
	}
}
