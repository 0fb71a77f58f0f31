package author

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/policy/accesslog"
)

// clf is a line of the combined format.
func clf(request string, status int, agent string) string {
	return fmt.Sprintf("10.0.0.1 - - [02/Mar/2026:12:00:00 +0000] %q %d 1 \"-\" %q\n", request, status, agent)
}

func TestRehearseShowsLinesThatItCannotRead(t *testing.T) {
	report := run(t, rehearsal(t, contractSample), "one\ntwo\nthree\nfour\n{\"host\":\"x\"}\n"+clf("GET /cases/7 HTTP/1.1", 200, "b"))
	if report.Unreadable != 5 || strings.Join(report.Samples, " ") != "one two three" {
		t.Errorf("%+v", report)
	}
}

// TestRehearseNamesFormats, several where logs are mixed.
func TestRehearseNamesFormats(t *testing.T) {
	console := "2026/03/02 12:00:00.768\tINFO\thttp.log.access\thandled request\t" + `{"request": {"method": "GET", "uri": "/cases/7"}, "status": 200}` + "\n"
	report := run(t, rehearsal(t, contractSample), clf("GET / HTTP/1.1", 200, "b")+clf("GET / HTTP/1.1", 200, "b"), console)
	want := []FormatCount{{accesslog.Combined, 2}, {accesslog.CaddyConsole, 1}}
	if diff := cmp.Diff(want, report.Formats); diff != "" {
		t.Error(diff)
	}
	var b strings.Builder
	report.Render(&b)
	if !strings.Contains(b.String(), "written as combined (2), caddy-console (1)\n") {
		t.Error(b.String())
	}
}

// TestRehearseSetsBotsAndMissingPagesApart: they count for what is needed, but
// stand apart in the lists, and a bot is nobody.
func TestRehearseSetsBotsAndMissingPagesApart(t *testing.T) {
	log := clf("GET /cases/7 HTTP/1.1", 200, "Mozilla/5.0 CUBOT X19") + clf("GET /wp-login.php HTTP/1.1", 404, "Mozilla/5.0") +
		clf("GET /cases/8 HTTP/1.1", 200, "Mozilla/5.0 (compatible; Googlebot/2.1)")
	report := run(t, rehearsal(t, contractSample), log)
	if report.Requests != 3 || report.NotFound != 1 || report.Bots != 1 || report.Forecast.People != 2 {
		t.Errorf("%d, %d, %d, %d people", report.Requests, report.NotFound, report.Bots, report.Forecast.People)
	}
	want := []URLCount{{URL: "/cases/*", Requests: 1}, {URL: "/wp-login.php", Requests: 1, NotFound: true}, {URL: "/cases/*", Requests: 1, Bot: true}}
	if diff := cmp.Diff(want, report.Needs[0].URLs); diff != "" {
		t.Error(diff)
	}
}

// TestRehearseListsSomethingOfEveryThingNeeded however many URLs there are.
func TestRehearseListsSomethingOfEveryThingNeeded(t *testing.T) {
	word := func(n int) string { return strings.Map(func(r rune) rune { return r - '0' + 'k' }, fmt.Sprint(n)) }
	var deep, flat strings.Builder
	for n := range 20_000 {
		deep.WriteString(clf("GET /app/"+word(n)+" HTTP/1.1", 200, "b"))
		flat.WriteString(clf("GET /"+word(n)+"/x HTTP/1.1", 200, "b"))
	}
	for want, log := range map[string]string{"/app/*": deep.String(), "/*": flat.String()} {
		for _, workers := range []int{1, 3} {
			r := rehearsal(t, "default mfa")
			r.Workers = workers
			list := run(t, r, log).Needs[0].URLs
			if len(list) != 1 || list[0].URL != want || list[0].Requests != 20_000 {
				t.Errorf("%d workers: %+v, want %s", workers, list, want)
			}
		}
	}
}

// TestRehearseStopsWhileNothingComes: a pipe may be silent for ever.
func TestRehearseStopsWhileNothingComes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	silent, writer := io.Pipe()
	defer writer.Close()
	r := rehearsal(t, contractSample)
	line := clf("GET /cases/7 HTTP/1.1", 200, "b")
	r.Seen = func(int64) { cancel() }
	report, err := r.Run(ctx, accesslog.Log{Name: "log", Reader: strings.NewReader(strings.Repeat(line, 100_000))}, accesslog.Log{Name: "pipe", Reader: silent})
	if err == nil || report.Requests == 0 {
		t.Errorf("%v, %+v", err, report)
	}
}

func TestForecastKnowsTheHoursOfTheWeek(t *testing.T) {
	line := func(at time.Time) string {
		return fmt.Sprintf(`1.2.3.4 - joe%d [%s] "GET /cases/7 HTTP/1.1" 200 1`+"\n", at.Unix(), at.Format(clfTime))
	}
	hours := run(t, rehearsal(t, contractSample), line(noon)+line(noon.Add(time.Hour))+line(noon.Add(6*24*time.Hour))+line(noon.Add(7*24*time.Hour))).Forecast.Hours
	if hours[0][12] != 2 || hours[0][13] != 1 || hours[6][12] != 1 {
		t.Error(hours)
	}
}

// TestRehearseTellsActionsApart: one page of a front controller is many, and a
// session in a path makes no page.
func TestRehearseTellsActionsApart(t *testing.T) {
	for raw, want := range map[string]string{
		"/case.do?action=edit&id=4": "/case.do?action=edit", "/case.do;jsessionid=1F?action=edit": "/case.do?action=edit",
		"/case.do;jsessionid=1F2E": "/case.do", "/a;x=1/b": "/a/b", "/case.do?id=4": "/case.do", "/x?page=12": "/x",
	} {
		if got := general(raw) + action(raw); got != want {
			t.Errorf("%s counts as %s, want %s", raw, got, want)
		}
	}
}
