package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// TestManyNodes takes three nodes and their database through what may happen
// to them: nothing is let through, nothing that was acknowledged is lost, and
// all heals without a restart.
func TestManyNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three gateways and two database servers")
	}
	if legacytest.InOwnNetwork(t) {
		return
	}
	apart, err := legacytest.StartNamespace(t)
	if err != nil {
		t.Log("a proxy that falls silent stands for a network that is cut:", err)
	}
	n := startNodes(t, apart)
	first, second, third := n.all[0], n.all[1], n.all[2]
	joe := n.person("joe").at(first)
	joe.enrol("/cases/1")
	for _, one := range n.all {
		joe.at(one).wantStatus("/cases/1", http.StatusOK)
	}

	t.Run("one code passes once", func(t *testing.T) { n.raceOneCode(joe) })
	t.Run("a sign-out is seen everywhere", func(t *testing.T) { n.signOutElsewhere() })
	t.Run("keys are rotated", func(t *testing.T) { n.rotateKeys(joe) })
	t.Run("a node is killed", func(t *testing.T) {
		dora := n.person("dora").at(second)
		dora.enrol("/cases/dora")
		second.kill() // a moment after it has acknowledged that
		dora.at(first).wantStatus("/cases/dora", http.StatusOK)
		joe.at(third).wantStatus("/cases/1", http.StatusOK)
		n.start(second)
		joe.at(second).wantStatus("/cases/1", http.StatusOK)
	})
	t.Run("a node is cut off", func(t *testing.T) { n.cutOff(joe, third, first) })
	if apart != nil {
		t.Run("a node's connections fall silent", func(t *testing.T) { n.cutOff(joe, second, first) })
	}
	t.Run("the database stops", func(t *testing.T) {
		mary := n.person("mary").at(third)
		mary.enrol("/cases/mary")
		n.database.Primary.Kill()
		n.wantNobodyLetIn(joe)
		n.database.Primary.Start()
		n.heals(joe)
		for _, one := range n.all {
			mary.at(one).wantStatus("/cases/mary", http.StatusOK)
		}
	})
	t.Run("the database fails over", func(t *testing.T) {
		late := n.person("late").at(second)
		late.enrol("/cases/late")
		n.database.FailOver()
		n.heals(joe)
		for _, one := range n.all { // what was acknowledged a moment before is there
			late.at(one).wantStatus("/cases/late", http.StatusOK)
		}
	})
}

// rotateKeys rotates while somebody works on all nodes.
func (n *nodes) rotateKeys(joe *person) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				if a := joe.at(n.all[i%3]).get("/cases/1"); a.status != 0 && (a.status != http.StatusOK || a.url.Path != "/cases/1") {
					n.Errorf("while keys are rotated: %d at %v", a.status, a.url)
				}
			}
		}
	}()
	n.rotate()
	close(stop)
	<-stopped
	for _, one := range n.all {
		joe.at(one).wantStatus("/cases/1", http.StatusOK)
	}
	n.command(n.all[2], "", "audit", "verify")
}

// rotate makes another key primary as an operator does, node after node.
func (n *nodes) rotate() {
	n.Helper()
	for _, step := range [][]string{{"keys", "rotate", "--prepare"}, {"keys", "rotate"}} {
		n.command(n.all[0], "", step...)
		key, err := os.ReadFile(filepath.Join(n.all[0].dir, "stepgate.key"))
		if err != nil {
			n.Fatal(err)
		}
		for _, one := range n.all[1:] {
			n.write(filepath.Join(one.dir, "stepgate.key"), string(key))
			n.reread(one)
		}
	}
}

// reread has a node take over what its files say now.
func (n *nodes) reread(one *node) {
	n.Helper()
	n.command(one, "", "reload", "--address", "unix/"+filepath.Join(one.dir, "admin.sock"), "--force")
}

// raceOneCode has eight browsers submit the same code over all nodes at once.
func (n *nodes) raceOneCode(joe *person) {
	code := joe.code()
	browsers, pages := make([]*person, 8), make([]answer, 8)
	for i := range browsers {
		browsers[i] = n.browser().at(n.all[i%len(n.all)])
		browsers[i].name = joe.name
		pages[i] = browsers[i].signIn("/cases/1")
	}
	var passed atomic.Int32
	var all sync.WaitGroup
	for i, b := range browsers {
		all.Go(func() {
			if a := b.submit(pages[i], "code", map[string]string{"code": code, "action": "verify"}); a.status == http.StatusOK && a.url.Path == "/cases/1" {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	if passed.Load() != 1 {
		n.Errorf("the code passed %d times", passed.Load())
	}
}

// signOutElsewhere signs somebody out on one node, and asks another that has
// them in memory.
func (n *nodes) signOutElsewhere() {
	b := n.person("ann").at(n.all[1])
	b.enrol("/cases/2")
	b.at(n.all[2]).wantStatus("/cases/2", http.StatusOK)
	kept, err := url.Parse(nodesOrigin)
	if err != nil {
		n.Fatal(err)
	}
	cookies := b.client.Jar.Cookies(kept)
	page := b.at(n.all[0]).get("/.stepgate/sign-out")
	b.submit(page, "csrf_token", nil)
	b.client.Jar.SetCookies(kept, cookies) // a thief has kept them
	took := n.until("the sign-out is seen", func() bool {
		a := b.at(n.all[2]).get("/cases/2")
		return a.url != nil && a.url.Path == "/.stepgate/sign-in"
	})
	n.Logf("a sign-out was seen by another node after %s", took)
}

// cutOff cuts a node's wires to the database: it falls silent, the others do
// not notice, and it heals.
func (n *nodes) cutOff(joe *person, alone, other *node) {
	joe.at(alone).wantStatus("/cases/1", http.StatusOK)
	begun := time.Now()
	alone.cut()
	a := joe.at(alone).get("/cases/1")
	if within := time.Since(begun) < time.Second; within && a.status != http.StatusOK { // of the grace of three
		n.Errorf("at once after it was cut off: %d", a.status)
	}
	n.until("the node trusts nothing", func() bool { return joe.at(alone).get("/cases/1").status == http.StatusServiceUnavailable })
	stranger := n.browser().at(alone)
	stranger.wantStatus("/cases/1", http.StatusServiceUnavailable)
	stranger.wantStatus("/.stepgate/health", http.StatusServiceUnavailable)
	stranger.wantStatus("/public/x", http.StatusOK)
	joe.at(other).wantStatus("/cases/1", http.StatusOK)
	alone.join()
	n.heals(joe)
}

// wantNobodyLetIn looks at every node while the database is away.
func (n *nodes) wantNobodyLetIn(joe *person) {
	for _, one := range n.all {
		n.until("a node without a database trusts nothing", func() bool {
			return joe.at(one).get("/cases/1").status == http.StatusServiceUnavailable
		})
		stranger := n.browser().at(one)
		stranger.wantStatus("/cases/1", http.StatusServiceUnavailable)
		stranger.wantStatus("/public/x", http.StatusOK)
	}
}

// heals waits until every node serves again, by itself, and knows who joe is.
func (n *nodes) heals(joe *person) {
	for _, one := range n.all {
		took := n.until("the node has healed", func() bool {
			return n.browser().at(one).get("/.stepgate/health").status == http.StatusNoContent && joe.at(one).get("/cases/1").status == http.StatusOK
		})
		n.Logf("%s has healed after %s", one.addr, took)
	}
}
