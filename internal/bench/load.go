package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const userAgent = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"

// turn is what one turn of a row has shown.
type turn struct {
	cpu      float64 // seconds for 100,000
	rate     float64 // a second
	p50, p99 time.Duration
}

// load is requests of one kind to one gateway.
type load struct {
	addr, path string
	cookies    []string // used in turn
	named      string   // what X-Person says, numbered, if anything
	h2         bool
	size       int64 // of the answer
	requests   int
	parallel   int
	next       int // where the next turn begins with the cookies
}

// around measures what do takes of a process's CPU, and how long each of n
// things takes that it notes.
func around(used func() (time.Duration, error), n int, do func() ([]time.Duration, error)) (turn, error) {
	before, err := used()
	if err != nil {
		return turn{}, err
	}
	began := time.Now()
	took, err := do()
	if err != nil {
		return turn{}, err
	}
	wall := time.Since(began)
	after, err := used()
	if err != nil {
		return turn{}, err
	}
	slices.Sort(took)
	t := turn{cpu: (after - before).Seconds() / float64(n) * 100_000, rate: float64(n) / wall.Seconds()}
	if len(took) > 0 {
		t.p50, t.p99 = took[len(took)/2], took[len(took)*99/100]
	}
	return t, nil
}

// each calls do for 0 to n-1 from parallel goroutines, and returns how long
// each call took.
func each(parallel, n int, do func(worker, i int) error) ([]time.Duration, error) {
	took := make([]time.Duration, n)
	errs := make([]error, parallel)
	var group sync.WaitGroup
	for worker := range parallel {
		group.Go(func() {
			for i := worker; i < n && errs[worker] == nil; i += parallel {
				began := time.Now()
				errs[worker] = do(worker, i)
				took[i] = time.Since(began)
			}
		})
	}
	group.Wait()
	return took, errors.Join(errs...)
}

// send sends all requests of a turn, each worker by a connection of its own.
func (l *load) send() ([]time.Duration, error) {
	workers := make([]func(int) error, l.parallel)
	for i := range workers {
		send, done, err := l.connection()
		if err != nil {
			return nil, err
		}
		defer done()
		workers[i] = send
	}
	first := l.next
	l.next += l.requests
	return each(l.parallel, l.requests, func(worker, i int) error { return workers[worker](first + i) })
}

func (l *load) connection() (send func(i int) error, done func(), err error) {
	if l.h2 {
		return l.http2()
	}
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		return nil, nil, err
	}
	reader := bufio.NewReaderSize(conn, 64<<10)
	before := "GET " + l.path + " HTTP/1.1\r\nHost: " + l.addr + "\r\nUser-Agent: " + userAgent +
		"\r\nAccept: text/html,application/xhtml+xml\r\nAccept-Language: en-GB\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
	return func(i int) error {
		request := before
		if l.named != "" {
			request += "X-Person: " + l.person(i) + "\r\n"
		}
		if _, err := io.WriteString(conn, request+"Cookie: "+l.cookie(i)+"\r\n\r\n"); err != nil {
			return err
		}
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		return l.check(resp)
	}, func() { conn.Close() }, nil
}

// http2 speaks HTTP/2 in the clear.
func (l *load) http2() (send func(i int) error, done func(), err error) {
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	return func(i int) error {
		r, err := http.NewRequest(http.MethodGet, "http://"+l.addr+l.path, nil)
		if err != nil {
			return err
		}
		r.Header = http.Header{
			"User-Agent": {userAgent}, "Accept": {"text/html,application/xhtml+xml"}, "Accept-Language": {"en-GB"},
			"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Cookie": {l.cookie(i)},
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return err
		}
		return l.check(resp)
	}, transport.CloseIdleConnections, nil
}

func (l *load) cookie(i int) string { return l.cookies[i%len(l.cookies)] }
func (l *load) person(i int) string { return fmt.Sprint(l.named, i%len(l.cookies)) }

func (l *load) check(resp *http.Response) error {
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || n != l.size {
		return fmt.Errorf("%s: status %d with %d bytes", strings.TrimSpace(l.path), resp.StatusCode, n)
	}
	return nil
}
