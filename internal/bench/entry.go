package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp/totp"
)

// Sizes of a turn. People are as many as a turn of codes needs twice: one of
// them has one code in each half minute.
const (
	signInsOfTurn  = 40
	hashesOfTurn   = 40
	codesOfTurn    = 256
	commitsOfTurn  = 1000
	signInsAtOnce  = 4
	codesAtOnce    = 64
	peopleForCodes = 1024
)

// signIns has a row of forms with a right password, beside argon2id alone.
func signIns(store string) func(ctx context.Context, b *bench, name string) error {
	return func(ctx context.Context, b *bench, name string) error {
		store, err := b.storeLine(ctx, store, name)
		if err != nil {
			return err
		}
		g, err := b.gateway(ctx, name, gated(store, false, "", "\t\t\trequire signed_in /cases/*\n"), addAccount(ctx, b.binary))
		if err != nil {
			return err
		}
		alone := b.find("argon2id alone")
		if alone == nil {
			c, err := b.child("argon2id")
			if err != nil {
				return err
			}
			alone = b.addChild("argon2id alone", c, hashesOfTurn)
		}
		doors := make([]*door, signInsAtOnce)
		for i := range doors {
			if doors[i], err = openDoor(g, i); err != nil {
				return err
			}
		}
		r := &row{name: name, beside: []*row{alone}, memory: g.memory}
		r.take = func() (turn, error) {
			return around(g.cpu, signInsOfTurn, func() ([]time.Duration, error) {
				return each(signInsAtOnce, signInsOfTurn, func(worker, _ int) error { return doors[worker].knock() })
			})
		}
		b.rows = append(b.rows, r)
		return nil
	}
}

func (b *bench) addChild(name string, c *child, n int) *row {
	r := &row{name: name}
	r.take = func() (turn, error) {
		return around(c.cpu, n, func() ([]time.Duration, error) { return nil, c.do(n) })
	}
	b.rows = append(b.rows, r)
	return r
}

// door is the sign-in page in one browser that never keeps the session it
// gets, so that each form begins another.
type door struct {
	browser *browser
	at      string
	form    url.Values
}

func openDoor(g *gateway, number int) (*door, error) {
	who, err := newBrowser(g.url(), number)
	if err != nil {
		return nil, err
	}
	p, err := who.get("/cases/1")
	if err != nil {
		return nil, err
	}
	return &door{who, p.at, p.form("username", "joe", "password", accountPassword)}, nil
}

func (d *door) knock() error {
	r, err := d.browser.request(d.at, d.form)
	if err != nil {
		return err
	}
	line, err := d.browser.cookies()
	if err != nil {
		return err
	}
	r.Header.Set("Cookie", line)
	return expect(d.browser, r, "/cases/1")
}

// expect sends a form and wants to be led to a path.
func expect(b *browser, r *http.Request, path string) error {
	resp, err := b.client.Transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(strings.TrimPrefix(to, b.base), path) {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return fmt.Errorf("%s: status %d, to %q, %q", r.URL.Path, resp.StatusCode, to, pageError.FindSubmatch(text))
	}
	return nil
}

// pageError finds what a page says is wrong.
var pageError = regexp.MustCompile(`(?s) data-focus.*?<a [^>]*>([^<]*)`)

// person is one who answers with codes of an authenticator app.
type person struct {
	name, seed string
	used       int64 // the last step that a code was given of
}

// codes has a row of right codes, beside commits of one row each to a database
// of the same kind on the same disk.
func codes(store string) func(ctx context.Context, b *bench, name string) error {
	return func(ctx context.Context, b *bench, name string) error {
		line, err := b.storeLine(ctx, store, name)
		if err != nil {
			return err
		}
		g, err := b.gateway(ctx, name, gated(line, false, trusted, "\t\t\trequire mfa /cases/*\n"), nil)
		if err != nil {
			return err
		}
		kind, place, label := "sqlite", filepath.Join(b.dir, "raw.db"), "raw commits, SQLite"
		if store == "postgres" {
			kind, place, label = "postgres", b.postgres, "raw commits, PostgreSQL"
		}
		c, err := b.child("commits", kind, place)
		if err != nil {
			return err
		}
		raw := b.addChild(label, c, commitsOfTurn)
		people := make([]*person, peopleForCodes)
		_, err = each(codesAtOnce, peopleForCodes, func(worker, i int) (err error) {
			people[i], err = enrolled(g, worker, i)
			return err
		})
		if err != nil {
			return err
		}
		next := 0
		r := &row{name: name, beside: []*row{raw}, bySpeed: true, memory: g.memory}
		r.take = func() (turn, error) {
			next += codesOfTurn
			return answerAll(g, people, next)
		}
		b.rows = append(b.rows, r)
		return nil
	}
}

// enrolled is a new person with an app, whose codes of this step and the next
// are left as a rule.
func enrolled(g *gateway, worker, i int) (*person, error) {
	who, err := newBrowser(g.url(), worker)
	if err != nil {
		return nil, err
	}
	defer who.close()
	who.named = fmt.Sprint("person", i)
	p, err := who.get("/cases/1")
	if err != nil {
		return nil, err
	}
	seed, step, err := who.enrol(p)
	return &person{who.named, seed, step}, err
}

// answerAll takes as many people as a turn has to their page, and measures how
// the gateway takes their codes.
func answerAll(g *gateway, people []*person, first int) (turn, error) {
	forms := make([]*http.Request, codesOfTurn)
	browsers := make([]*browser, codesOfTurn)
	_, err := each(codesAtOnce, codesOfTurn, func(worker, i int) (err error) {
		browsers[i], forms[i], err = people[(first+i)%len(people)].codeForm(g, worker)
		return err
	})
	if err != nil {
		return turn{}, err
	}
	defer func() {
		for _, b := range browsers {
			b.close()
		}
	}()
	return around(g.cpu, codesOfTurn, func() ([]time.Duration, error) {
		return each(codesAtOnce, codesOfTurn, func(_, i int) error { return expect(browsers[i], forms[i], "/cases/1") })
	})
}

// codeForm begins a session and fills the form that asks for the code in.
func (p *person) codeForm(g *gateway, worker int) (*browser, *http.Request, error) {
	who, err := newBrowser(g.url(), worker)
	if err != nil {
		return nil, nil, err
	}
	who.named = p.name
	at, err := who.get("/cases/1")
	if err != nil {
		return nil, nil, err
	}
	step := max(p.used+1, time.Now().Unix()/30)
	for step > time.Now().Unix()/30+1 { // it has none to give yet
		time.Sleep(100 * time.Millisecond)
	}
	p.used = step
	code, err := totp.GenerateCode(p.seed, time.Unix(step*30, 0))
	if err != nil {
		return nil, nil, err
	}
	r, err := who.request(at.at, at.form("code", code))
	if err != nil {
		return nil, nil, err
	}
	line, err := who.cookies()
	r.Header.Set("Cookie", line)
	return who, r, err
}

// makeSchema makes a schema anew, and returns the DSN that leads to it.
func makeSchema(ctx context.Context, dsn, schema string) (string, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	_, dropped := conn.Exec(ctx, `DROP SCHEMA IF EXISTS `+schema+` CASCADE`)
	_, made := conn.Exec(ctx, `CREATE SCHEMA `+schema)
	u, err := url.Parse(dsn)
	if err != nil {
		return "", errors.New("-postgres wants a URL")
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String(), errors.Join(dropped, made)
}
