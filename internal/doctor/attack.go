package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy/author"
)

// maxTargets bounds how many paths of a policy are asked for.
const maxTargets = 200

// policy asks for what the policy protects, without a session, in the
// spellings that some server would read as the same path.
func (p *Prober) policy(ctx context.Context) []Result {
	targets := p.targets()
	asked, protected := 0, 0
	for _, t := range targets {
		if p.needs(http.MethodGet, t) {
			protected++
		}
		for _, spelled := range spellings(t) {
			if strings.HasPrefix(spelled, "//") || !p.needs(http.MethodGet, spelled) {
				continue
			}
			a, err := p.ask(ctx, http.MethodGet, spelled, script(), "")
			if err != nil {
				return []Result{p.unreachable(err)}
			}
			asked++
			if !a.stopped() {
				return []Result{p.result("policy", Finding, fmt.Sprintf("GET %s passes without a session (%d), though the policy protects it", spelled, a.StatusCode),
					"the running configuration is not this file, or something else answers for the site: reload, and see what stands before the gateway")}
			}
		}
	}
	if protected == 0 {
		return []Result{p.result("policy", Note, "the policy protects no path that could be asked for", "see `stepgate policy lint`")}
	}
	return []Result{p.result("policy", OK, fmt.Sprintf("%d protected paths stay closed in %d spellings", protected, asked), "")}
}

// targets are paths that the rules of the policy are about, and one of none.
func (p *Prober) targets() []string {
	list := []string{"/", "/a-path-of-no-rule/x"}
	for _, rule := range p.Site.Config.Rules {
		for _, pattern := range rule.Patterns {
			path, _, _ := strings.Cut(pattern, "?")
			path = strings.ReplaceAll(path, "*", "x")
			if !slices.Contains(list, path) && len(list) < maxTargets {
				list = append(list, path)
			}
		}
	}
	return list
}

// needs tells whether the policy keeps a stranger from a target.
func (p *Prober) needs(method, target string) bool {
	answer := p.Site.Explain(author.Facts{Method: method, Target: target, Now: p.Now})
	return answer.Refused != nil || !answer.Public && !answer.Own
}

// spellings are ways to write a path that servers have read as the same.
func spellings(path string) []string {
	last := path[strings.LastIndexByte(path, '/')+1:]
	folder := path[:len(path)-len(last)]
	list := []string{path, path + "/", path + "?x=1", folder + ";x=1/" + last, "/x/.." + path, "/x/%2e%2e" + path, "/x%2f.." + path}
	if last == "" {
		return list
	}
	first := fmt.Sprintf("%%%02x", last[0])
	return append(list, path+";x=1", path+".", path+"%20", path+"%00", folder+strings.ToUpper(last), folder+"/"+last,
		folder+first+last[1:], folder+strings.Replace(first, "%", "%25", 1)+last[1:], path+"%3fx=1", path+"%23")
}

// protected is a path that needs a session; empty where there is none.
func (p *Prober) protected() string {
	for _, t := range p.targets() {
		if p.needs(http.MethodGet, t) {
			return t
		}
	}
	return ""
}

// public is a path that needs none; empty where there is none.
func (p *Prober) public() string {
	for _, t := range p.targets() {
		if !p.needs(http.MethodGet, t) {
			return t
		}
	}
	return ""
}

// forgeries ask for a protected path with what clients like to make up.
func (p *Prober) forgeries(ctx context.Context) []Result {
	path := p.protected()
	if path == "" {
		return nil
	}
	forged := []http.Header{
		{"Remote-User": {"root"}, "Remote-Groups": {"admins"}, "Stepgate-Assertion": {"e30.e30.e30"}},
		{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-User": {"root"}, "X-Real-Ip": {"127.0.0.1"}},
		{"Cookie": {"__Host-stepgate=forged; stepgate=forged"}},
		{"Authorization": {"Bearer forged"}},
	}
	if open := p.public(); open != "" {
		forged = append(forged, http.Header{"X-Original-Url": {open}, "X-Rewrite-Url": {open}})
	}
	for _, more := range forged {
		header := script()
		for name, values := range more {
			header[name] = values
		}
		a, err := p.ask(ctx, http.MethodGet, path, header, "")
		if err != nil {
			return []Result{p.unreachable(err)}
		}
		if !a.stopped() {
			return []Result{p.result("forgery", Finding, fmt.Sprintf("GET %s passes with headers that anybody can send (%d): %s", path, a.StatusCode, headerNames(more)),
				"see which handler of the configuration believes them, and that the gate stands behind it")}
		}
	}
	return []Result{p.result("forgery", OK, "made-up identities, addresses, cookies and paths in headers open nothing", "")}
}

func headerNames(h http.Header) string {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// tunnels ask for connections that would leave HTTP.
func (p *Prober) tunnels(ctx context.Context) []Result {
	for _, path := range []string{p.public(), p.protected()} {
		if path == "" {
			continue
		}
		for _, protocol := range []string{"h2c", "TLS/1.0", "doctor"} {
			header := script()
			header.Set("Connection", "Upgrade, HTTP2-Settings")
			header.Set("Upgrade", protocol)
			header.Set("HTTP2-Settings", "AAMAAABkAAQAAP__")
			a, err := p.ask(ctx, http.MethodGet, path, header, "")
			if err != nil {
				return []Result{p.unreachable(err)}
			}
			if a.StatusCode == http.StatusSwitchingProtocols {
				return []Result{p.result("tunnel", Finding, fmt.Sprintf("GET %s with Upgrade: %s opens a connection that nothing looks into", path, protocol),
					"see what answers for the site besides the gateway")}
			}
		}
	}
	return []Result{p.result("tunnel", OK, "no upgrade but a WebSocket's is passed on", "")}
}

// signIn looks at the gateway's own pages.
func (p *Prober) signIn(ctx context.Context) []Result {
	page := p.Site.Prefix + "/sign-in"
	a, err := p.ask(ctx, http.MethodGet, page, navigation(), "")
	if err != nil {
		return []Result{p.unreachable(err)}
	}
	var wrong []string
	policy := a.Header.Get("Content-Security-Policy")
	for _, c := range []struct {
		holds bool
		text  string
	}{
		{policy != "" && !strings.Contains(policy, "unsafe-inline"), "a strict Content-Security-Policy"},
		{strings.Contains(policy, "frame-ancestors 'none'"), "frame-ancestors 'none'"},
		{strings.Contains(a.Header.Get("Cache-Control"), "no-store"), "Cache-Control: no-store"},
		{p.cookiesAreClosed(a.Cookies()), "cookies with HttpOnly, and Secure where the site is https"},
	} {
		if !c.holds {
			wrong = append(wrong, c.text)
		}
	}
	var results []Result
	if wrong != nil {
		results = append(results, p.result("pages", Finding, fmt.Sprintf("%s comes without %s", page, strings.Join(wrong, ", ")),
			"something between browser and gateway changes its answers: let it leave them alone"))
	} else {
		results = append(results, p.result("pages", OK, "the gateway's pages are never framed, stored or scripted by others", ""))
	}
	foreign := http.Header{
		"Origin": {"https://attacker.example"}, "Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"},
		"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"},
	}
	a, err = p.ask(ctx, http.MethodPost, page, foreign, "username=&password=")
	switch {
	case err != nil:
		return append(results, p.unreachable(err))
	case a.StatusCode < 400:
		return append(results, p.result("cross-site", Finding, fmt.Sprintf("a form of another site is taken (%d)", a.StatusCode), "something between browser and gateway takes Origin and Sec-Fetch-Site away"))
	}
	return append(results, p.result("cross-site", OK, "forms of other sites are refused", ""))
}

func (p *Prober) cookiesAreClosed(cookies []*http.Cookie) bool {
	return !slices.ContainsFunc(cookies, func(c *http.Cookie) bool {
		return !c.HttpOnly || p.origin.Scheme == "https" && !c.Secure
	})
}
