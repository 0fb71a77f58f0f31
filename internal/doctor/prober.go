package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy/author"
)

// probeTimeout bounds one request, pageBytes what is read of its answer.
const (
	probeTimeout = 10 * time.Second
	pageBytes    = 1 << 20
)

// Prober examines one site.
type Prober struct {
	Site *author.Site
	Now  time.Time
	// Connect is where to connect instead of the origin's own host: HOST:PORT
	// or unix/PATH.
	Connect string
	// Insecure takes any certificate; Examine says so.
	Insecure bool

	origin *url.URL
	client *http.Client
}

// Examine asks the site everything. An error is a question that could not be
// asked at all.
func (p *Prober) Examine(ctx context.Context) ([]Result, error) {
	var err error
	if p.origin, err = url.Parse(p.Site.Origin); err != nil || p.origin.Host == "" {
		return nil, fmt.Errorf("the site %q has no origin that could be asked: set `origin`", p.Site.Origin)
	}
	p.client = &http.Client{
		Timeout:       probeTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     p.transport(),
	}
	defer p.client.CloseIdleConnections()
	health, err := p.health(ctx)
	if err != nil {
		return []Result{p.unreachable(err)}, nil
	}
	results := append(health, p.address())
	for _, check := range []func(context.Context) []Result{p.policy, p.forgeries, p.tunnels, p.signIn} {
		results = append(results, check(ctx)...)
	}
	return results, ctx.Err()
}

func (p *Prober) transport() *http.Transport {
	dialer := &net.Dialer{Timeout: probeTimeout}
	return &http.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: p.Insecure}, //nolint:gosec // the operator said so, and is told what that hides
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if path, ok := strings.CutPrefix(p.Connect, "unix/"); ok {
				network, address = "unix", path
			} else if p.Connect != "" {
				address = p.Connect
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
}

func (p *Prober) unreachable(err error) Result {
	var asking *url.Error
	if errors.As(err, &asking) {
		err = asking.Err // the address in it is without its host, as it was sent
	}
	r := Result{Check: "reachable", Verdict: Finding, Site: p.Site.Origin, Text: "the site does not answer: " + err.Error(),
		Mend: "start the gateway, or name where it listens with --connect HOST:PORT"}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		r.Check, r.Text = "certificate", "browsers will not accept the certificate: "+certificate.Err.Error()
		r.Mend = "see to the certificate; --insecure examines the rest all the same"
	}
	return r
}

func (p *Prober) result(check string, verdict Verdict, text, mend string) Result {
	return Result{Check: check, Verdict: verdict, Site: p.Site.Origin, Text: text, Mend: mend}
}

// answer is what came back, its body read.
type answer struct {
	*http.Response
	body string
}

// Agent is what the prober calls itself, for who reads access logs.
const Agent = "stepgate-doctor"

// ask sends a request as it stands: target in its bytes, and no redirect is
// followed.
func (p *Prober) ask(ctx context.Context, method, target string, header http.Header, body string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.origin.String(), strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	path, query, _ := strings.Cut(target, "?")
	r.URL.Opaque, r.URL.RawQuery = path, query
	r.Header.Set("User-Agent", Agent)
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := p.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, pageBytes))
	return answer{response, string(text)}, err
}

// script is how a page's own script asks: the gateway answers 401 to it, with
// a challenge that no application behind it can send.
func script() http.Header {
	return http.Header{
		"Accept": {"application/json"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Dest": {"empty"},
	}
}

func navigation() http.Header {
	return http.Header{
		"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Site": {"none"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-User": {"?1"},
	}
}

// stopped tells whether the gateway itself answered a call of a script that
// may not pass.
func (a answer) stopped() bool {
	switch a.StatusCode {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusUnauthorized:
		return strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Stepgate ")
	}
	return false
}

func (p *Prober) health(ctx context.Context) ([]Result, error) {
	a, err := p.ask(ctx, http.MethodGet, p.Site.Prefix+"/health", nil, "")
	switch {
	case err != nil:
		return nil, err
	case a.StatusCode == http.StatusServiceUnavailable:
		return []Result{p.result("health", Finding, "the gateway answers, and cannot serve: its store does not answer", "look at its log; paths that are not public get 503 until the store is back")}, nil
	case a.StatusCode != http.StatusNoContent:
		return []Result{p.result("health", Finding, fmt.Sprintf("%s/health answers %d: this is not the gateway of the configuration", p.Site.Prefix, a.StatusCode),
			"see where the name of the site leads to, and what stands before the gateway")}, nil
	}
	results := []Result{p.result("health", OK, "the gateway serves, its store included", "")}
	if at, err := http.ParseTime(a.Header.Get("Date")); err == nil && at.Sub(p.Now).Abs() > 30*time.Second {
		results = append(results, p.result("clock", Finding, fmt.Sprintf("the site's clock and this machine's differ by %s", at.Sub(p.Now).Abs().Round(time.Second)),
			"keep both by NTP: codes of authenticator apps go by the clock"))
	}
	return results, nil
}

// address looks at how the site is reached.
func (p *Prober) address() Result {
	host := p.origin.Hostname()
	local := host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
	switch {
	case p.origin.Scheme == "https" && p.Insecure:
		return p.result("certificate", Note, "the certificate was not looked at", "leave --insecure out where browsers meet it")
	case p.origin.Scheme == "https":
		return p.result("certificate", OK, "browsers accept the certificate", "")
	case local:
		return p.result("certificate", Note, "plain http, on this machine alone", "people need https")
	default:
		return p.result("certificate", Finding, "plain http: whoever is on the way reads passwords and codes, and cookies are no secret", "serve the site by https")
	}
}
