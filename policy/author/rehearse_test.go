package author

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/accesslog"
	"github.com/stepgate/stepgate/policy/target"
)

// clfTime is how the common format writes a time.
const clfTime = "02/Jan/2006:15:04:05 -0700"

func rehearsal(t testing.TB, text string) *Rehearsal {
	t.Helper()
	r := &Rehearsal{Sites: []*Site{siteOf(t, text)}, Limits: Limits{Idle: 30 * time.Minute, Absolute: 12 * time.Hour}, Workers: 2}
	r.Facts.Complete(noon)
	return r
}

func run(t testing.TB, r *Rehearsal, logs ...string) *Report {
	t.Helper()
	var list []accesslog.Log
	for i, text := range logs {
		list = append(list, accesslog.Log{Name: fmt.Sprint("log ", i), Reader: strings.NewReader(text)})
	}
	report, err := r.Run(t.Context(), list...)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// summary is a report in short.
func summary(r *Report) string {
	var parts []string
	for _, s := range r.Needs {
		parts = append(parts, fmt.Sprintf("%s=%d", words(s.Needs), s.Requests))
	}
	parts = append(parts, fmt.Sprintf("default=%d other=%d unreadable=%d", r.Default.Requests, r.Other, r.Unreadable))
	if r.Forecast != nil {
		parts = append(parts, fmt.Sprintf("sign-ins=%d challenges=%d people=%d", r.Forecast.SignIns, r.Forecast.Challenges, r.Forecast.People))
	}
	return strings.Join(parts, " ")
}

func TestRehearseCountsWhatItCannotRead(t *testing.T) {
	log := strings.Join([]string{
		"", "# a comment", "nonsense", "\x00\xff\x16", `{"ts":1,"msg":"another log"}`, `{"ts":1,"request":{"method":"GET"`, `{`, "{}",
		`1.2.3.4 - - [xx/Mar/2026:12:00:00 +0100] "GET / HTTP/1.1" 200 1`,
		`1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "\x16\x03\x01" 400 1`,
		`1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "-" 408 1`,
		`1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "GET / HTTP/1.1`,
		`1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "GET /a/../b HTTP/1.1" 200 1`,
		`1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "GET /debug HTTP/1.1" 200 1`,
		`1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "GET /nowhere HTTP/1.1" 200 1`,
		strings.Repeat("x", 3*accesslog.BlockBytes),
		`1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "GET /assets/x HTTP/1.1" 200 1`,
	}, "\r\n")
	got := summary(run(t, rehearsal(t, contractSample), log))
	if want := "400=1 deny=1 mfa=1 public=1 default=1 other=5 unreadable=8 sign-ins=1 challenges=1 people=1"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestTheWatchedLoginAsksNobody: the gate lets it pass without a session, but
// for what is denied.
func TestTheWatchedLoginAsksNobody(t *testing.T) {
	r := rehearsal(t, contractSample)
	r.Sites[0].Login = func(f *Facts, readings *target.Readings) string {
		if path := readings.RawPath(); f.Method == "GET" && (path == "/login" || path == "/debug/login") {
			return "login_page"
		}
		return ""
	}
	var log strings.Builder
	for _, request := range []string{"GET /login", "GET /login", "POST /login", "GET /debug/login"} {
		fmt.Fprintf(&log, `1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] "%s HTTP/1.1" 200 1`+"\n", request)
	}
	got := summary(run(t, r, log.String()))
	if want := "public=2 deny=1 mfa fresh_key=1 default=1 other=0 unreadable=0 sign-ins=1 challenges=1 people=1"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	a := r.Sites[0].Explain(Facts{Method: "GET", Target: "/login"})
	var text strings.Builder
	if err := a.Render(&text); err != nil || a.Login != "login_page" || !slices.Equal(a.Levels, []string{"mfa"}) || !strings.Contains(text.String(), "without a session") {
		t.Errorf("%+v, %v:\n%s", a, err, &text)
	}
	if a := r.Sites[0].Explain(Facts{Method: "GET", Target: "/debug/login"}); a.Login != "" {
		t.Errorf("what is denied passes as %s", a.Login)
	}
}

func TestRehearseReadsCompressedLogsUpToWhereTheyBreak(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	io.WriteString(w, synthetic("common", 40_000))
	w.Close()
	whole := run(t, rehearsal(t, contractSample), zipped.String())
	if whole.Requests != 40_000 || whole.Unreadable != 0 {
		t.Errorf("%d requests, %d unreadable", whole.Requests, whole.Unreadable)
	}
	broken := []accesslog.Log{{Name: "access.log.gz", Reader: bytes.NewReader(zipped.Bytes()[:zipped.Len()/2])}, {Name: "b", Reader: strings.NewReader(synthetic("common", 10))}}
	report, err := rehearsal(t, contractSample).Run(t.Context(), broken...)
	if err == nil || !strings.Contains(err.Error(), "access.log.gz") || report.Requests < 10_000 {
		t.Errorf("%v after %d requests", err, report.Requests)
	}
}

// TestRehearseAgreesWithItselfOnAnyNumberOfWorkers: sessions are played in
// the order of the log whoever judges its lines.
func TestRehearseAgreesWithItselfOnAnyNumberOfWorkers(t *testing.T) {
	log := synthetic("combined", 60_000)
	var first string
	for _, workers := range []int{1, 2, 5} {
		r := rehearsal(t, contractSample)
		r.Workers = workers
		got := summary(run(t, r, log))
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("%d workers: %s\n1 worker: %s", workers, got, first)
		}
	}
}

func TestForecastPlaysSessions(t *testing.T) {
	const text = "level quick { accept totp; max_age 10m }\nlevel each { accept totp; once }\nrequire signed_in /\nrequire mfa /m\nrequire quick /q\nrequire each /e\npublic /p"
	visits := func(person string, list ...string) string {
		var lines []string
		for _, v := range list {
			after, path, _ := strings.Cut(v, " ")
			d, err := time.ParseDuration(after)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf(`1.2.3.4 - %s [%s] "GET %s HTTP/1.1" 200 1`, person, noon.Add(d).Format(clfTime), path))
		}
		return strings.Join(lines, "\n")
	}
	for _, tt := range []struct {
		name, log           string
		signIns, challenges int64
	}{
		{"public asks nothing", visits("joe", "0s /p", "1m /p"), 0, 0},
		{"one sign-in", visits("joe", "0s /", "10m /", "39m /"), 1, 0},
		{"idle", visits("joe", "0s /", "31m /"), 2, 0},
		{"absolute", visits("joe", "0s /", "29m /", "58m /") + "\n" + visits("joe", "1h20m /", "1h45m /"), 1, 0},
		{"once a session", visits("joe", "0s /m", "1m /m", "20m /m"), 1, 1},
		{"max_age", visits("joe", "0s /q", "9m /q", "11m /q", "12m /q"), 1, 2},
		{"each request", visits("joe", "0s /e", "1m /e", "2m /e"), 1, 3},
		{"a fresh code meets mfa as well", visits("joe", "0s /q", "1m /m"), 1, 1},
		{"another person", visits("joe", "0s /m") + "\n" + visits("ann", "1s /m"), 2, 2},
		{"a log out of order", visits("joe", "5m /m", "4m /m"), 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := run(t, rehearsal(t, text), tt.log).Forecast
			if f.SignIns != tt.signIns || f.Challenges != tt.challenges {
				t.Errorf("%d sign-ins, %d challenges", f.SignIns, f.Challenges)
			}
		})
	}
}

func TestRehearseSendsLinesToTheSiteOfTheirHost(t *testing.T) {
	r := rehearsal(t, "default signed_in")
	other := siteOf(t, "default public")
	other.Origin = "https://open.test"
	r.Sites = append(r.Sites, other)
	line := func(host string) string {
		return fmt.Sprintf(`{"ts":1772452800,"request":{"method":"GET","host":%q,"uri":"/"}}`+"\n", host)
	}
	got := summary(run(t, r, line("portal.test")+line("Open.test")+line("open.test:443")+line("unknown.test")))
	if !strings.HasPrefix(got, "signed_in=2 public=2") && !strings.HasPrefix(got, "public=2 signed_in=2") {
		t.Error(got)
	}
}

func TestRehearseComparesPolicies(t *testing.T) {
	r := rehearsal(t, "default mfa")
	r.Compare = []*Site{siteOf(t, "default mfa\nrequire signed_in /a\ndeny /b")}
	log := ""
	for _, path := range []string{"/a", "/a", "/b", "/c"} {
		log += fmt.Sprintf("1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] \"GET %s HTTP/1.1\" 200 1\n", path)
	}
	var got []string
	for _, s := range run(t, r, log).Changes {
		got = append(got, fmt.Sprintf("%s %s->%s %d", s.Direction, words(s.Old), words(s.New), s.Requests))
	}
	if diff := cmp.Diff([]string{"weaker mfa->signed_in 2", "stronger mfa->deny 1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRehearseStopsWhenItIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := rehearsal(t, contractSample)
	r.Seen = func(int64) { cancel() }
	if _, err := r.Run(ctx, accesslog.Log{Name: "endless", Reader: endless{synthetic("common", 1000)}}); err == nil {
		t.Error("no error")
	}
}

// endless repeats a text.
type endless struct{ text string }

func (e endless) Read(p []byte) (int, error) { return copy(p, e.text), nil }

func TestRehearseGolden(t *testing.T) {
	var b strings.Builder
	r := rehearsal(t, contractSample)
	r.Workers = 1 // of URLs that are rare, several workers may list others
	if err := run(t, r, synthetic("combined", 20_000)).Render(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "rehearse.golden", b.String())
}

// TestTopListFindsTheHeavyOnes among far more keys than it keeps.
func TestTopListFindsTheHeavyOnes(t *testing.T) {
	list := newTopList(100)
	random := rand.New(rand.NewPCG(1, 1))
	for range 200_000 {
		if n := random.IntN(100); n < 10 {
			list.add(fmt.Sprint("heavy", n), 1)
		} else {
			list.add(fmt.Sprint("rare", random.IntN(1_000_000)), 1)
		}
	}
	for _, c := range list.most(10) {
		if !strings.HasPrefix(c.key, "heavy") || c.count-c.over > 2500 || c.count < 1500 {
			t.Errorf("%+v", c)
		}
	}
}

func TestDistinctEstimatesWithinTwoPerCent(t *testing.T) {
	for _, n := range []int{0, 1, 10, 1000, 50_000, 1_000_000} {
		var d distinct
		for i := range n {
			for range 2 {
				d.add(mix(uint64(i), 99))
			}
		}
		if got := d.estimate(); float64(got) < 0.98*float64(n)-1 || float64(got) > 1.02*float64(n)+1 {
			t.Errorf("%d of %d", got, n)
		}
	}
}

// synthetic makes a log of n requests by 200 people in a day for each 50 000.
func synthetic(format string, n int) string {
	random := rand.New(rand.NewPCG(5, 5))
	paths := []string{"/", "/assets/site.css", "/assets/app.js", "/cases/%d", "/cases/%d/notes", "/app.do?action=show&id=%d", "/app.do?action=delete&id=%d", "/admin/users", "/report/%d.pdf", "/search?q=x%d", "/debug/vars"}
	methods := []string{"GET", "GET", "GET", "GET", "POST", "DELETE"}
	var b strings.Builder
	for i := range n {
		path := paths[random.IntN(len(paths))]
		if strings.Contains(path, "%d") {
			path = fmt.Sprintf(path, random.IntN(100_000))
		}
		at := noon.Add(time.Duration(i) * 24 * time.Hour / 50_000)
		method, user, ip := methods[random.IntN(len(methods))], fmt.Sprint("user", random.IntN(200)), fmt.Sprintf("81.2.%d.%d", random.IntN(4), random.IntN(250))
		switch format {
		case "caddy":
			fmt.Fprintf(&b, `{"level":"info","ts":%d.%06d,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"%s","remote_port":"%d","client_ip":"%s","proto":"HTTP/2.0","method":"%s","host":"portal.test","uri":"%s",`+
				`"headers":{"User-Agent":["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"],"Accept":["text/html,application/xhtml+xml"],"Accept-Language":["en-GB,en;q=0.9"],"Sec-Fetch-Mode":["navigate"]},`+
				`"tls":{"resumed":false,"version":772,"cipher_suite":4865,"proto":"h2","server_name":"portal.test"}},"bytes_read":0,"user_id":"%s","duration":0.001,"size":2326,"status":200,"resp_headers":{"Content-Type":["text/html"]}}`+"\n",
				at.Unix(), i%1_000_000, ip, 1024+i%60_000, ip, method, path, user)
		default:
			fmt.Fprintf(&b, `%s - %s [%s] "%s %s HTTP/1.1" 200 2326`, ip, user, at.Format(clfTime), method, path)
			if format == "combined" {
				b.WriteString(` "https://portal.test/" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"`)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// BenchmarkRehearse reads a log that never ends, until it has judged b.N
// thousand lines. heap-MB is what lives on the heap at the end.
func BenchmarkRehearse(b *testing.B) {
	for _, format := range []string{"common", "combined", "caddy", "combined.gz"} {
		b.Run(format, func(b *testing.B) {
			kind, _, zipped := strings.Cut(format, ".")
			text := synthetic(kind, 100_000)
			if zipped {
				var out bytes.Buffer
				w := gzip.NewWriter(&out)
				io.WriteString(w, text)
				w.Close()
				text = out.String()
			}
			r := rehearsal(b, contractSample)
			r.Sites[0].Describe = nil
			r.Facts.Device = policy.DeviceUnknown
			rounds := 0
			b.ResetTimer()
			for b.Loop() {
				var logs []accesslog.Log
				for range 10 {
					logs = append(logs, accesslog.Log{Name: "log", Reader: strings.NewReader(text)})
				}
				report, err := r.Run(b.Context(), logs...)
				if err != nil || report.Requests != 1_000_000 {
					b.Fatal(err, report.Requests)
				}
				rounds++
			}
			b.ReportMetric(float64(rounds)*1e6/b.Elapsed().Seconds(), "lines/s")
			b.SetBytes(int64(10 * len(text)))
			var memory runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&memory)
			b.ReportMetric(float64(memory.HeapAlloc)/1e6, "heap-MB")
		})
	}
}
