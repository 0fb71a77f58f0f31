package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// metered is a gateway whose admin endpoint tells numbers.
type metered struct {
	*rig
	admin string // HOST:PORT
}

func startMetered(t *testing.T, site string) metered {
	t.Helper()
	admin := strings.TrimPrefix(freeAddress(t), "http://")
	return metered{startGateway(t, strings.Replace(testHead, "admin off", "admin "+admin, 1)+site, nil), admin}
}

// numbers are those of ours at the moment, by name and labels.
func (m metered) numbers() map[string]float64 {
	m.t.Helper()
	resp, err := http.Get("http://" + m.admin + "/metrics")
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	found := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		i := strings.LastIndex(line, " ")
		if i < 0 || !strings.HasPrefix(line, "stepgate_") {
			continue
		}
		var value float64
		fmt.Sscan(line[i+1:], &value)
		found[line[:i]] = value
	}
	return found
}

func TestMetricsCountAtTheAdminEndpoint(t *testing.T) {
	m := startMetered(t, walkSite)
	m.addUser("joe")
	b := m.browser()
	work := func() {
		b.get("/assets/x")
		b.get("/debug/vars")
		b.get("/cases/1", fetch)
		b.get("/cases/%00", fetch)
	}
	work()
	before := m.numbers()
	work()
	m.load(strings.Replace(testHead, "admin off", "admin "+m.admin, 1) + walkSite)
	after := m.numbers()
	for _, name := range []string{
		`stepgate_requests_allowed_total{levels=""}`, `stepgate_requests_stopped_total{levels="",outcome="deny"}`,
		`stepgate_requests_stopped_total{levels="mfa",outcome="step-up"}`,
		`stepgate_requests_stopped_total{levels="",outcome="malformed"}`,
	} {
		if after[name] != before[name]+1 {
			t.Errorf("%s: %v, then %v after one more and a reload; all: %v", name, before[name], after[name], after)
		}
	}
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	var all map[string]float64
	waitFor(t, func() bool { // what the feed tells of the sign-in has the session read once more
		b.get("/cases/1").want(200, "/cases/1")
		all = m.numbers()
		return all["stepgate_sessions_in_memory"] > 0
	})
	for name, least := range map[string]float64{
		`stepgate_requests_allowed_total{levels="mfa"}`:                           2,
		`stepgate_events_total{event="authn_login_success",factor="",outcome=""}`: 1,
		`stepgate_events_total{event="factor_enrolled",factor="totp",outcome=""}`: 1,
		`stepgate_session_lookups_total{from="memory"}`:                           1,
		`stepgate_store_answers`:                                                  1,
		`stepgate_store_seconds_count{kind="read"}`:                               1,
		`stepgate_store_seconds_count{kind="write"}`:                              1,
	} {
		if all[name] < least {
			t.Errorf("%s is %v, want %v at least; all: %v", name, all[name], least, all)
		}
	}
	if age, ok := all["stepgate_feed_age_seconds"]; !ok || age < 0 || age > 60 {
		t.Errorf("the feed's age is %v", age)
	}
	for name := range all {
		if strings.Contains(name, "joe") || strings.Contains(name, "/cases") || strings.Contains(name, "127.0.0.1") {
			t.Errorf("%s tells of somebody", name)
		}
	}
}

var ourMetric = regexp.MustCompile(`stepgate_\w+`)

// TestAlertsAndDashboardAskWhatIsThere has a real Prometheus ask the gateway,
// and the shipped files ask Prometheus.
func TestAlertsAndDashboardAskWhatIsThere(t *testing.T) {
	rules := readDocument(t, "docs/monitoring/alerts.yml")
	m := startMetered(t, walkSite)
	m.addUser("joe")
	b := m.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	p := legacytest.StartPrometheus(t, m.admin, rules)
	ask := func(path string, query url.Values, into any) {
		t.Helper()
		resp, err := http.Get(p.URL + "/api/v1/" + path + "?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer := struct {
			Status, Error string
			Data          any
		}{Data: into}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
			t.Errorf("%s %v: %v %s", path, query, err, answer.Error)
		}
	}
	var found struct{ Result []json.RawMessage }
	for deadline := time.Now().Add(time.Minute); len(found.Result) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("Prometheus has asked nothing")
		}
		time.Sleep(100 * time.Millisecond)
		ask("query", url.Values{"query": {"stepgate_store_answers == 1"}}, &found)
	}
	var known []string
	for name := range m.numbers() {
		known = append(known, ourMetric.FindString(name))
	}
	known = append(known, "stepgate_outbox_overdue_seconds", "stepgate_messages_this_month", "stepgate_messages_limit", "stepgate_report_only_total")
	for _, query := range append(alertQueries(t, ask), dashboardQueries(t)...) {
		ask("query", url.Values{"query": {query}}, new(any))
		for _, name := range ourMetric.FindAllString(query, -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s asks for %s, which is no metric", query, name)
			}
		}
	}
}

// alertQueries are the expressions of the alerts as Prometheus has read them.
func alertQueries(t *testing.T, ask func(string, url.Values, any)) (all []string) {
	t.Helper()
	var loaded struct {
		Groups []struct{ Rules []struct{ Query string } }
	}
	ask("rules", nil, &loaded)
	for _, g := range loaded.Groups {
		for _, r := range g.Rules {
			all = append(all, r.Query)
		}
	}
	if len(all) < 5 {
		t.Fatalf("Prometheus has %d alerts", len(all))
	}
	return all
}

// dashboardQueries are those of the dashboard, with Grafana's variables filled in.
func dashboardQueries(t *testing.T) (all []string) {
	t.Helper()
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(readDocument(t, "docs/monitoring/dashboard.json")), &board); err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*")
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all = append(all, filled.Replace(target.Expr))
		}
	}
	if len(all) < 5 {
		t.Fatalf("the dashboard has %d queries", len(all))
	}
	return all
}

func TestAlertsFireWhereTheyShould(t *testing.T) {
	if said, err := legacytest.CheckRules(t, "testdata/alerts_test.yml"); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// TestATraceHasTheStepsOfTheGate has Caddy send its trace by OTLP.
func TestATraceHasTheStepsOfTheGate(t *testing.T) {
	var mu sync.Mutex
	parents, names := map[string]string{}, map[string]string{} // by span
	told := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &sent); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range sent.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					names[string(span.SpanId)], parents[string(span.SpanId)] = span.Name, string(span.ParentSpanId)
					if strings.HasPrefix(span.Name, "stepgate ") && strings.Contains(span.String(), "joe") {
						t.Errorf("a span names somebody: %v", span)
					}
				}
			}
		}
	}))
	defer told.Close()
	for name, value := range map[string]string{
		"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT": told.URL,
		"OTEL_BSP_SCHEDULE_DELAY": "50",
	} {
		t.Setenv(name, value)
	}
	g := startGateway(t, testHead+strings.Replace(walkSite, "{\n", "{\n\ttracing {\n\t\tspan portal\n\t}\n", 1), nil)
	g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	lineage := func() map[string]bool {
		mu.Lock()
		defer mu.Unlock()
		found := map[string]bool{}
		for id, name := range names {
			found[names[parents[id]]+" > "+name] = true
		}
		return found
	}
	want := []string{"portal > stepgate find", "portal > stepgate judge", "portal > stepgate store read", "portal > stepgate store write"}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		found := lineage()
		missing := slices.DeleteFunc(slices.Clone(want), func(w string) bool { return found[w] })
		if len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %q among %v", missing, found)
		}
	}
}

// TestOperationsPageNamesEveryMetric holds names against what is registered.
func TestOperationsPageNamesEveryMetric(t *testing.T) {
	page := readDocument(t, "docs/operations.md")
	named := regexp.MustCompile(`"(stepgate_\w+)"`)
	for _, file := range []string{"../internal/gate/metrics.go", "metrics.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := named.FindAllStringSubmatch(string(source), -1)
		if len(names) == 0 {
			t.Fatalf("no metrics found in %s", file)
		}
		for _, name := range names {
			if !strings.Contains(page, "`"+name[1]+"`") {
				t.Errorf("docs/operations.md does not name %s", name[1])
			}
		}
	}
}
