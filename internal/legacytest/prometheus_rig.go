package legacytest

import (
	"fmt"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

// StartPrometheus runs a Prometheus that asks target (HOST:PORT, its path
// /metrics) every second, with the rules in a file's text.
func StartPrometheus(tb testing.TB, target, rules string) *Server {
	tb.Helper()
	needs(tb, "prometheus", "/usr/bin/prometheus")
	dir := newDir(tb)
	put(tb, dir, map[string]string{
		"alerts.yml": rules,
		"prometheus.yml": fmt.Sprintf(`global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: [alerts.yml]
scrape_configs:
  - job_name: stepgate
    static_configs:
      - targets: ["%s"]
`, target),
	})
	if err := give(dir, webUser); err != nil {
		tb.Fatalf("legacytest: prometheus: %v", err)
	}
	addr := serve(tb, func(addr string) command {
		return command{name: "prometheus", dir: dir, user: webUser, argv: []string{
			"/usr/bin/prometheus", "--config.file=" + dir + "/prometheus.yml", "--storage.tsdb.path=" + dir + "/data",
			"--web.listen-address=" + addr, "--log.level=warn",
		}}
	})
	s := &Server{URL: "http://" + addr, Addr: addr, Dir: dir}
	awaitPrometheus(tb, s.URL)
	return s
}

// awaitPrometheus waits until Prometheus answers queries, which it does not as soon
// as it listens.
func awaitPrometheus(tb testing.TB, url string) {
	tb.Helper()
	var last any
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(url + "/-/ready")
		if err != nil {
			last = err
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
		last = resp.Status
	}
	tb.Fatalf("legacytest: prometheus is not ready: %v", last)
}

// CheckRules runs promtool's tests of rules, which a file describes, and returns
// what it says.
func CheckRules(tb testing.TB, file string) (string, error) {
	tb.Helper()
	needs(tb, "prometheus", "/usr/bin/promtool")
	said, err := exec.CommandContext(tb.Context(), "/usr/bin/promtool", "test", "rules", file).CombinedOutput()
	return string(said), err
}
