package accesslog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// noon is Monday, 2 March 2026, 12:00 UTC.
const noon = 1772452800

// samples are lines as the servers write them, each about the same request.
var samples = []struct {
	name   string
	format Format
	text   string
	want   Entry
}{
	{"common", Common, `192.0.2.7 - joe [02/Mar/2026:13:00:00 +0100] "GET /cases/7?x=1 HTTP/1.1" 200 123`,
		Entry{Client: "192.0.2.7", User: "joe", Status: 200}},
	{"combined", Combined, `192.0.2.7 - joe [02/Mar/2026:13:00:00 +0100] "GET /cases/7?x=1 HTTP/2.0" 404 - "https://portal.test/" "Mozilla/5.0 (\"quoted\")"`,
		Entry{Client: "192.0.2.7", User: "joe", Status: 404, Agent: `Mozilla/5.0 (\"quoted\")`}},
	{"vhost_combined", VHost, `Portal.test:443 192.0.2.7 - - [02/Mar/2026:13:00:00 +0100] "GET /cases/7?x=1 HTTP/1.1" 200 123 "-" "b"`,
		Entry{Host: "portal.test:443", Client: "192.0.2.7", Status: 200, Agent: "b"}},
	{"nginx main", Nginx, `192.0.2.7 - - [02/Mar/2026:12:00:00 +0000] "GET /cases/7?x=1 HTTP/1.1" 200 612 "-" "b" "203.0.113.9"`,
		Entry{Client: "192.0.2.7", Status: 200, Agent: "b"}},
	{"nginx, host first", VHost, `portal.test 192.0.2.7 - - [02/Mar/2026:12:00:00 +0000] "GET /cases/7?x=1 HTTP/1.1" 200 612 "-" "b"`,
		Entry{Host: "portal.test", Client: "192.0.2.7", Status: 200, Agent: "b"}},
	{"nginx, ISO time", NginxISO, `192.0.2.7 - joe [2026-03-02T13:00:00+01:00] "GET /cases/7?x=1 HTTP/1.1" 200 612 "-" "b"`,
		Entry{Client: "192.0.2.7", User: "joe", Status: 200, Agent: "b"}},
	{"nginx by syslog", Combined, `Mar  2 12:00:00 web nginx: 192.0.2.7 - - [02/Mar/2026:12:00:00 +0000] "GET /cases/7?x=1 HTTP/1.1" 200 612 "-" "b"`,
		Entry{Client: "192.0.2.7", Status: 200, Agent: "b"}},
	{"nginx, JSON", NginxJSON, `{"time_local":"02/Mar/2026:12:00:00 +0000","remote_addr":"192.0.2.7","remote_user":"joe","request":"GET /cases/7?x=1 HTTP/1.1","status": "200","body_bytes_sent":"612","request_time":"0.003","http_referrer":"","http_user_agent":"b","http_host":"portal.test"}`,
		Entry{Host: "portal.test", Client: "192.0.2.7", User: "joe", Status: 200, Agent: "b"}},
	{"nginx, JSON of parts", NginxJSON, `{"msec":"1772452800.123","server_name":"_","uri":"/index.php","request_uri":"/cases/7?x=1","args":"x=1","request_method":"GET","remote_addr":"192.0.2.7","status":200}`,
		Entry{Host: "_", Client: "192.0.2.7", Status: 200}},
	{"Apache, JSON", ApacheJSON, `{"time":"[02/Mar/2026:12:00:00 +0000]","remoteIP":"192.0.2.7","host":"portal.test","request":"/cases/7","query":"?x=1","method":"GET","status":"200","userAgent":"b","referer":"-"}`,
		Entry{Host: "portal.test", Client: "192.0.2.7", Status: 200, Agent: "b"}},
	{"Caddy", Caddy, `{"level":"info","ts":1772452800.7687502,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"192.0.2.7","remote_port":"41342","client_ip":"192.0.2.7",` +
		`"proto":"HTTP/2.0","method":"GET","host":"portal.test","uri":"/cases/7?x=1","headers":{"User-Agent":["a \"b\" }{"],"Accept":["*/*"]},"tls":{"resumed":false}},"bytes_read":0,"user_id":"joe","status":200}`,
		Entry{Host: "portal.test", Client: "192.0.2.7", User: "joe", Status: 200, Agent: `a "b" }{`}},
	{"Caddy, other times", Caddy, `{"ts":"2026-03-02T12:00:00.000Z","request":{"method":"GET","uri":"\/cases\/7?x=1","headers":{}},"status":200}`, Entry{Status: 200}},
	{"Caddy, spaced", Caddy, `{"ts" : 1.7724528e9, "request" : { "uri" : "/cases/7?x=1" , "method" : "GET" , "x" : [1, {"y": null}] } }`, Entry{}},
	{"Caddy's console", CaddyConsole, "2026/03/02 12:00:00.768\tINFO\thttp.log.access.log0\thandled request\t" +
		`{"request": {"remote_ip": "192.0.2.7", "client_ip": "192.0.2.7", "method": "GET", "host": "portal.test", "uri": "/cases/7?x=1", "headers": {"User-Agent": ["b"]}}, "bytes_read": 0, "user_id": "joe", "status": 200}`,
		Entry{Host: "portal.test", Client: "192.0.2.7", User: "joe", Status: 200, Agent: "b"}},
	{"Caddy's console in colours", CaddyConsole, "2026/03/02 12:00:00.768\t\x1b[34mINFO\x1b[0m\thttp.log.access\thandled request\t" +
		`{"request": {"method": "GET", "uri": "/cases/7?x=1"}, "status": 200}`, Entry{Status: 200}},
	{"IIS", IIS, "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2026-03-02 12:00:00\n" +
		"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n" +
		"2026-03-02 12:00:00 10.0.0.4 GET /cases/7 x=1 443 NORTH\\joe 192.0.2.7 Mozilla/5.0+(Windows+NT+10.0) - 200 0 0 15",
		Entry{Client: "192.0.2.7", User: `NORTH\joe`, Status: 200, Agent: "Mozilla/5.0+(Windows+NT+10.0)"}},
	{"CloudFront", CloudFront, "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol\n" +
		strings.ReplaceAll("2026-03-02|12:00:00|LAX1|2390282|192.0.2.7|GET|d111.cloudfront.net|/cases/7|200|-|Mozilla/5.0%20(X11)|x=1|-|Hit|SOX4xwn==|portal.test|https", "|", "\t"),
		Entry{Host: "portal.test", Client: "192.0.2.7", Status: 200, Agent: "Mozilla/5.0 (X11)"}},
	{"AWS ALB", ALB, `h2 2026-03-02T12:00:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.0.2.7:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET https://portal.test:443/cases/7?x=1 HTTP/2.0" "b" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d99923122bbe354" "portal.test" "-" 0 2026-03-02T12:00:00.186641Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"`,
		Entry{Host: "portal.test:443", Client: "192.0.2.7", Status: 200, Agent: "b"}},
	{"AWS ELB", ALB, `2026-03-02T12:00:00.945958Z my-loadbalancer 192.0.2.7:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://portal.test:80/cases/7?x=1 HTTP/1.1" "b" - -`,
		Entry{Host: "portal.test:80", Client: "192.0.2.7", Status: 200, Agent: "b"}},
	{"HAProxy", HAProxy, `Mar  2 12:00:00 localhost haproxy[14389]: 192.0.2.7:33317 [02/Mar/2026:12:00:00.655] http-in~ static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {portal.test|Mozilla/5.0 (X11)} {} "GET /cases/7?x=1 HTTP/1.1"`,
		Entry{Host: "portal.test", Client: "192.0.2.7", Status: 200, Agent: "Mozilla/5.0 (X11)"}},
	{"HAProxy alone", HAProxy, `192.0.2.7:33317 [02/Mar/2026:12:00:00.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET /cases/7?x=1 HTTP/1.1"`,
		Entry{Client: "192.0.2.7", Status: 200}},
	{"Traefik", Traefik, `192.0.2.7 - joe [02/Mar/2026:12:00:00 +0000] "GET /cases/7?x=1 HTTP/2.0" 200 42 "-" "b" 147 "portal@docker" "http://10.0.0.1:80" 12ms`,
		Entry{Client: "192.0.2.7", User: "joe", Status: 200, Agent: "b"}},
	{"Traefik, JSON", TraefikJSON, `{"ClientAddr":"192.0.2.7:51234","ClientHost":"192.0.2.7","ClientPort":"51234","ClientUsername":"joe","DownstreamStatus":200,"Duration":1,"RequestAddr":"portal.test","RequestHost":"portal.test","RequestMethod":"GET","RequestPath":"/cases/7?x=1","RequestProtocol":"HTTP/2.0","StartUTC":"2026-03-02T12:00:00.5Z","entryPointName":"websecure","level":"info","msg":"","request_User-Agent":"b","time":"2026-03-02T12:00:00Z"}`,
		Entry{Host: "portal.test", Client: "192.0.2.7", User: "joe", Status: 200, Agent: "b"}},
	{"Envoy", Envoy, `[2026-03-02T12:00:00.310Z] "GET /cases/7?x=1 HTTP/2" 204 - 154 0 226 100 "192.0.2.7, 10.0.0.2" "b" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "portal.test" "tcp://10.0.2.1:80"`,
		Entry{Host: "portal.test", Client: "192.0.2.7", Status: 204, Agent: "b"}},
	{"Istio", Envoy, `[2026-03-02T12:00:00.310Z] "GET /cases/7?x=1 HTTP/1.1" 200 - via_upstream - "-" 0 295 2 1 "-" "b" "9a2f" "portal.test" "10.0.2.1:9080" outbound|9080||details.default.svc.cluster.local 10.44.1.23:46520 10.96.1.1:9080 192.0.2.7:47126 - default`,
		Entry{Host: "portal.test", Client: "192.0.2.7", Status: 200, Agent: "b"}},
	{"Envoy, JSON", EnvoyJSON, `{"start_time":"2026-03-02T12:00:00.310Z","method":"GET","path":"/cases/7?x=1","response_code":200,"authority":"portal.test","user_agent":"b","downstream_remote_address":"192.0.2.7:47126","x_forwarded_for":null}`,
		Entry{Host: "portal.test", Client: "192.0.2.7", Status: 200, Agent: "b"}},
	{"JSON of one's own", JSON, `{"@timestamp":"2026-03-02T12:00:00Z","clientip":"192.0.2.7","verb":"GET","path":"/cases/7","query_string":"x=1","nested":{"status":1,"list":[1,"}"]},"status":200}`,
		Entry{Client: "192.0.2.7", Status: 200}},
}

// TestParserKnowsEveryFormat reads each sample twice: its format found out, and
// told.
func TestParserKnowsEveryFormat(t *testing.T) {
	for _, tt := range samples {
		for _, only := range []Format{"", tt.format} {
			p, e := Parser{Only: only}, Entry{}
			lines := strings.Split(tt.text, "\n")
			for _, line := range lines[:len(lines)-1] {
				if kind := p.Parse(line+"\r", &e); kind != Other {
					t.Errorf("%s: %q is %d", tt.name, line, kind)
				}
			}
			if kind := p.Parse(lines[len(lines)-1]+"\r", &e); kind != Request {
				t.Errorf("%s as %q: %d, %+v", tt.name, only, kind, e)
				continue
			}
			want := tt.want
			want.Method, want.Target, want.At = "GET", "/cases/7?x=1", noon
			if diff := cmp.Diff(want, e); diff != "" {
				t.Errorf("%s as %q:\n%s", tt.name, only, diff)
			}
			if diff := cmp.Diff(map[Format]int64{tt.format: 1}, p.Counted()); diff != "" {
				t.Errorf("%s as %q:\n%s", tt.name, only, diff)
			}
		}
	}
}

// TestEveryFormatHasASample keeps the list of names whole.
func TestEveryFormatHasASample(t *testing.T) {
	for _, f := range Formats() {
		found := false
		for _, s := range samples {
			found = found || s.format == f
		}
		if _, err := ParseFormat(string(f)); err != nil || !found {
			t.Errorf("%s: %v, a sample %v", f, err, found)
		}
	}
	if _, err := ParseFormat("combine"); err == nil || !strings.Contains(err.Error(), "vhost_combined") {
		t.Error(err)
	}
}

// TestAFormatIsTold where two could be meant: names of hosts are not told from
// those of clients.
func TestAFormatIsTold(t *testing.T) {
	const line = `portal.test client.test - joe [02/Mar/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "b"`
	for only, want := range map[Format]Entry{VHost: {Host: "portal.test", Client: "client.test"}, Combined: {Client: "portal.test"}, "": {Client: "portal.test"}} {
		p, e := Parser{Only: only}, Entry{}
		if kind := p.Parse(line, &e); kind != Request || e.Host != want.Host || e.Client != want.Client {
			t.Errorf("as %q: %d, %+v", only, kind, e)
		}
	}
	p, e := Parser{Only: IIS}, Entry{}
	if kind := p.Parse("2026-03-02 12:00:00 10.0.0.4 POST /a%C3%A9/é - 443 - 192.0.2.7 b - 200", &e); kind != Request || e.Target != "/a%C3%A9/%C3%A9" || e.Method != "POST" {
		t.Errorf("%d, %+v", kind, e)
	}
}

// TestWhatIsNoRequestIsToldApart from what is in no format.
func TestWhatIsNoRequestIsToldApart(t *testing.T) {
	for line, want := range map[string]Kind{
		"": Other, "   ": Other, "# a comment": Other, "nonsense": Broken, "\x00\xff\x16": Broken, "{": Broken, "{}": Broken, "[": Broken,
		`{"ts":1,"msg":"another log"}`:                                                                                                  Other,
		`{"ts":1,"request":{"method":"GET"`:                                                                                             Broken,
		`{"host":"x","message":"not Caddy's"}`:                                                                                          Broken,
		`{"time_local":"02/Mar/2026:12:00:00 +0000","request":"","status":"400"}`:                                                       Other,
		"2026/03/02 12:00:00.768\tINFO\ttls\tcleaning storage unit\t{\"storage\": \"x\"}":                                               Other,
		`1.2.3.4 - - [xx/Mar/2026:12:00:00 +0100] "GET / HTTP/1.1" 200 1`:                                                               Broken,
		`1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "\x16\x03\x01" 400 1`:                                                                 Other,
		`1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "-" 408 1`:                                                                            Other,
		`1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "GET / HTTP/1.1`:                                                                      Broken,
		`1.2.3.4:1 [02/Mar/2026:12:00:00.655] in b/s 10/0/30/69/109 200 2`:                                                              Other,
		`http 2026-03-02T12:00:00.186641Z app/x 192.0.2.7:2817 - -1 -1 -1 460 - 0 0 "- http://portal.test:80- -" "-" - - - "-" "-" "-"`: Other,
		"https 2026-03-02T12:00:00.186641Z":                                                                                             Broken,
	} {
		p, e := Parser{}, Entry{}
		if got := p.Parse(line, &e); got != want {
			t.Errorf("%q is %d, want %d: %+v", line, got, want, e)
		}
	}
}

// FuzzParse holds lines to what the rest relies on.
func FuzzParse(f *testing.F) {
	for _, s := range samples {
		f.Add(s.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, only := range append([]Format{""}, Formats()...) {
			p, e := Parser{Only: only}, Entry{}
			for line := range strings.SplitSeq(text, "\n") {
				if p.Parse(line, &e) == Request && !isMethod(e.Method) {
					t.Errorf("%q is a request: %+v", line, e)
				}
			}
		}
	})
}
