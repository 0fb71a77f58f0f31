package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a container without zone files knows Europe/London too
)

// timeCondition is `time DAYS HH:MM-HH:MM ZONE`. The end is not part of it. A
// range that ends before it begins goes on after midnight and belongs to the
// day on which it began.
type timeCondition struct {
	days       [7]bool
	start, end int // minutes after midnight
	zone       *time.Location
}

var errNoTime = errors.New("policy: the time is not known")

func compileTime(c ConditionConfig) (Condition, error) {
	if len(c.Args) != 3 {
		return nil, errors.New("expected days, hours and zone, like `time Mon-Fri 08:00-18:00 Europe/London`")
	}
	t := &timeCondition{}
	if err := t.readDays(c.Args[0]); err != nil {
		return nil, err
	}
	from, to, _ := strings.Cut(c.Args[1], "-")
	var ok, okEnd bool
	t.start, ok = minutes(from)
	t.end, okEnd = minutes(to)
	if !ok || !okEnd || t.start == t.end || t.start == 24*60 {
		return nil, fmt.Errorf("`%s`: expected hours like `08:00-18:00`", c.Args[1])
	}
	zone, err := time.LoadLocation(c.Args[2])
	if err != nil || c.Args[2] == "" || c.Args[2] == "Local" {
		return nil, fmt.Errorf("`%s`: no such time zone; expected a name like `Europe/London` or `UTC`", c.Args[2])
	}
	t.zone = zone
	return t, nil
}

var dayWords = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// readDays reads "Mon-Fri", "Sat,Sun", "Fri-Mon,Wed".
func (t *timeCondition) readDays(text string) error {
	for _, part := range strings.Split(strings.ToLower(text), ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, to := slices.Index(dayWords, first), slices.Index(dayWords, last)
		if from < 0 || to < 0 {
			return fmt.Errorf("`%s`: expected days like `Mon-Fri` or `Sat,Sun`", text)
		}
		for day := from; ; day = (day + 1) % 7 {
			t.days[day] = true
			if day == to {
				break
			}
		}
	}
	return nil
}

// minutes reads HH:MM, up to 24:00.
func minutes(text string) (int, bool) {
	if text == "24:00" {
		return 24 * 60, true
	}
	clock, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, false
	}
	return clock.Hour()*60 + clock.Minute(), true
}

func (t *timeCondition) Holds(r *Request) (bool, error) {
	if r.Now.IsZero() {
		return false, errNoTime
	}
	local := r.Now.In(t.zone)
	minute, today := local.Hour()*60+local.Minute(), int(local.Weekday())
	if t.start < t.end {
		return t.days[today] && minute >= t.start && minute < t.end, nil
	}
	yesterday := (today + 6) % 7
	return t.days[today] && minute >= t.start || t.days[yesterday] && minute < t.end, nil
}

func (t *timeCondition) Reason() string { return ReasonTime }
