package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pquerna/otp/totp"
)

// variant is one gateway process and what its rounds cost.
type variant struct {
	name, dir, addr string
	process         *exec.Cmd
	cookie          string
	// costs are CPU seconds for 100,000 requests, one a round.
	costs []float64
}

func (v *variant) url() string { return "http://" + v.addr }

// place gives the variant a folder and a free port.
func (v *variant) place() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	v.addr = "localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	return errors.Join(l.Close(), os.MkdirAll(v.dir, 0o700))
}

const password = "a pass phrase for the benchmark"

// run starts the gateway, with an account where one is wanted.
func (v *variant) run(ctx context.Context, binary, caddyfile string, account bool) error {
	file := filepath.Join(v.dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		return err
	}
	if account {
		add := exec.CommandContext(ctx, binary, "user", "add", "joe", "--name", "Joe Bloggs", "--email", "joe@example.test", "--group", "staff", "--password-stdin", "--config", file)
		add.Stdin = strings.NewReader(password)
		if out, err := add.CombinedOutput(); err != nil {
			return fmt.Errorf("add an account: %w: %s", err, out)
		}
	}
	v.process = exec.CommandContext(ctx, binary, "run", "--config", file)
	v.process.Env = append(os.Environ(), "XDG_DATA_HOME="+v.dir, "XDG_CONFIG_HOME="+v.dir)
	if err := v.process.Start(); err != nil {
		return err
	}
	return waitReady(v.addr, v.process)
}

func (v *variant) stop() {
	if v.process != nil && v.process.Process != nil {
		v.process.Process.Signal(syscall.SIGTERM)
		v.process.Wait()
	}
}

var (
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	toTOTP = regexp.MustCompile(`href="(/\.stepgate/enrol/totp\?[^"]*)"`)
	secret = regexp.MustCompile(`data-stepgate="totp-secret">([A-Z2-7]+)<`)
)

// signIn enrols an authenticator app and returns the cookie line of somebody
// who is in, with the identity headers that the upstream was given.
func (v *variant) signIn(upstream string) (cookie string, identity map[string]string, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", nil, err
	}
	client := &http.Client{Jar: jar}
	page, at, err := visit(client, v.url()+"/cases/1", nil)
	if err != nil {
		return "", nil, err
	}
	form := fields(page)
	form.Set("username", "joe")
	form.Set("password", password)
	if page, at, err = visit(client, at, form); err != nil {
		return "", nil, err
	}
	if choice := toTOTP.FindStringSubmatch(page); choice != nil {
		if page, at, err = visit(client, v.url()+html.UnescapeString(choice[1]), nil); err != nil {
			return "", nil, err
		}
	}
	found := secret.FindStringSubmatch(page)
	if found == nil {
		return "", nil, fmt.Errorf("no secret at %s", at)
	}
	code, err := totp.GenerateCode(found[1], time.Now())
	if err != nil {
		return "", nil, err
	}
	form = fields(page)
	form.Set("code", code)
	if _, _, err = visit(client, at, form); err != nil {
		return "", nil, err
	}
	// Backup codes may be shown in between.
	if _, at, err = visit(client, v.url()+"/cases/1", nil); err != nil {
		return "", nil, err
	}
	if !strings.HasSuffix(at, "/cases/1") {
		return "", nil, fmt.Errorf("stands at %s", at)
	}
	base, err := url.Parse(v.url())
	if err != nil {
		return "", nil, err
	}
	line := "PORTALSESSID=0123456789abcdef"
	for _, c := range jar.Cookies(base) {
		line += "; " + c.Name + "=" + c.Value
	}
	// As large as what the gate sets; the floor's is not verified by anybody.
	return line, map[string]string{
		"Remote-User": "joe", "Remote-Name": "Joe Bloggs", "Remote-Email": "joe@example.test", "Remote-Groups": "staff",
		"Stepgate-Assertion": strings.Repeat("eyJhbGciOiJFUzI1NiI", 38),
	}, nil
}

// visit is one step of a browser, redirects and all.
func visit(client *http.Client, target string, form url.Values) (page, at string, err error) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, target, body)
	if err != nil {
		return "", "", err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := client.Do(r)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), resp.Request.URL.String(), err
}

func fields(page string) url.Values {
	form := url.Values{}
	for _, f := range hidden.FindAllStringSubmatch(page, -1) {
		form.Set(f[1], f[2])
	}
	return form
}

// measure sends requests at saturation and returns the CPU seconds that the
// gateway took for 100,000 of them.
func (v *variant) measure(parallel, requests int) (float64, error) {
	before, err := v.cpu()
	if err != nil {
		return 0, err
	}
	var group sync.WaitGroup
	failures := make(chan error, parallel)
	for range parallel {
		group.Go(func() { failures <- v.load(requests / parallel) })
	}
	group.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			return 0, err
		}
	}
	after, err := v.cpu()
	if err != nil {
		return 0, err
	}
	sent := requests / parallel * parallel
	return (after - before).Seconds() / float64(sent) * 100000, nil
}

// load is one connection that asks for a page again and again.
func (v *variant) load(requests int) error {
	conn, err := net.Dial("tcp", v.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	request := "GET /cases/1?page=2 HTTP/1.1\r\nHost: " + v.addr + "\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101\r\n" +
		"Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-GB\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nCookie: " + v.cookie + "\r\n\r\n"
	for range requests {
		if _, err := io.WriteString(conn, request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK || n != int64(len(answer)) {
			return fmt.Errorf("status %d with %d bytes", resp.StatusCode, n)
		}
	}
	return nil
}

// cpu is what the gateway's process has used so far, user and system, from
// fields 14 and 15 of its stat file (proc(5)).
func (v *variant) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	all := strings.Fields(rest)
	if len(all) < 13 {
		return 0, errors.New("unreadable stat")
	}
	var ticks int64
	for _, field := range all[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}
