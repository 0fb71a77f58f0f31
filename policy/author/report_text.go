package author

import (
	"fmt"
	"io"
	"strings"
)

// Render writes the report for people: a table with a bar for each share.
func (r *Report) Render(w io.Writer) error {
	var b strings.Builder
	if r.Partial {
		b.WriteString("PARTIAL: not everything was read\n")
	}
	fmt.Fprintf(&b, "%s requests", grouped(r.Requests))
	if r.Requests > 0 {
		fmt.Fprintf(&b, ", %s to %s, %s", r.From.Format("2006-01-02 15:04"), r.To.Format("2006-01-02 15:04 MST"), span(r.Days))
	}
	fmt.Fprintf(&b, "\n%s other lines, %s that could not be read\n", grouped(r.Other), grouped(r.Unreadable))
	if len(r.Formats) > 0 {
		fmt.Fprintf(&b, "written as %s\n", r.formats())
	}
	if r.NotFound+r.Bots > 0 {
		fmt.Fprintf(&b, "set apart: %s for what the app does not have (404), %s by bots\n", grouped(r.NotFound), grouped(r.Bots))
	}
	for _, line := range r.Samples {
		fmt.Fprintf(&b, "  not read: %s\n", visible(line))
	}
	if len(r.Needs) > 0 {
		b.WriteString("\nWhat they would need\n")
		for _, s := range r.Needs {
			bar(&b, strings.TrimSpace(s.Site+" "+words(s.Needs)), s.Requests, s.Share)
		}
	}
	if r.Forecast != nil {
		r.Forecast.render(&b)
	}
	for _, s := range r.Needs {
		urls(&b, "Most asked for that need "+strings.TrimSpace(words(s.Needs)+" "+s.Site), s.URLs)
	}
	if r.Default != nil {
		bar(&b, "\nNo rule, so the default", r.Default.Requests, r.Default.Share)
		urls(&b, "Most asked for that fall to the default", r.Default.URLs)
	}
	for _, c := range r.Changes {
		bar(&b, strings.TrimSpace(fmt.Sprintf("%s: %s -> %s %s", c.Direction, words(c.Old), words(c.New), c.Site)), c.Requests, c.Share.Share)
		urls(&b, "", c.URLs)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// formats names the formats, with numbers where they are several.
func (r *Report) formats() string {
	if len(r.Formats) == 1 {
		return string(r.Formats[0].Format)
	}
	var parts []string
	for _, f := range r.Formats {
		parts = append(parts, fmt.Sprintf("%s (%s)", f.Format, grouped(f.Requests)))
	}
	return strings.Join(parts, ", ")
}

func span(days float64) string {
	if days <= 1 {
		return "counted as a day"
	}
	return fmt.Sprintf("%.1f days", days)
}

func (f *Forecast) render(b *strings.Builder) {
	b.WriteString("\nWhat people would be asked\n")
	fmt.Fprintf(b, "  %-28s %12s a day\n", "sign-ins", decimal(f.SignInsPerDay))
	fmt.Fprintf(b, "  %-28s %12s a day", "challenges", decimal(f.ChallengesPerDay))
	if f.BusiestDay != "" {
		fmt.Fprintf(b, ", %s on the busiest (%s)", grouped(f.BusiestDayChallenges), f.BusiestDay)
	}
	who := "addresses with their browsers"
	if f.Users {
		who = "people"
	}
	fmt.Fprintf(b, "\n  %-28s %12s a day on which they come; about %s %s\n", "challenges for each", decimal(f.ChallengesPerPersonDay), grouped(f.People), who)
	for _, a := range f.ByLevels {
		bar(b, "for "+words(a.Levels), a.Challenges, float64(a.Challenges)/float64(max(1, f.Challenges)))
	}
	fmt.Fprintf(b, "  Model: %s.\n", f.Model)
}

func urls(b *strings.Builder, title string, list []URLCount) {
	if len(list) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(b, "\n%s\n", title)
	}
	for _, u := range list {
		about := ""
		if u.Over > 0 {
			about = "at most "
		}
		fmt.Fprintf(b, "  %20s  %s%s\n", about+grouped(u.Requests), visible(u.URL), u.apart())
	}
}

// apart says why a URL is no person's visit.
func (u URLCount) apart() string {
	switch {
	case u.Bot:
		return "  (bot)"
	case u.NotFound:
		return "  (404)"
	default:
		return ""
	}
}

const barCells = 30

// bar is a line with a name, a number, and its share as a bar.
func bar(b *strings.Builder, name string, n int64, share float64) {
	eighths := min(int(share*barCells*8+0.5), barCells*8)
	if n > 0 && eighths == 0 {
		eighths = 1
	}
	full := strings.Repeat("█", eighths/8)
	if part := eighths % 8; part > 0 {
		full += string([]rune(" ▏▎▍▌▋▊▉")[part])
	}
	if strings.HasPrefix(name, "\n") {
		b.WriteString("\n")
		name = name[1:]
	}
	fmt.Fprintf(b, "  %-28s %12s %5.1f%%  %s\n", name, grouped(n), share*100, full)
}

// grouped writes a number with blanks between thousands.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + " " + text[at:]
	}
	return text
}

func decimal(f float64) string {
	if f >= 100 {
		return grouped(int64(f + 0.5))
	}
	return fmt.Sprintf("%.2f", f)
}
