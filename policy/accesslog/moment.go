package accesslog

import (
	"strconv"
	"strings"
	"time"
)

const (
	commonLayout = "02/Jan/2006:15:04:05 -0700"
	months       = "JanFebMarAprMayJunJulAugSepOctNovDec"
)

// commonTime reads a time such as 10/Oct/2026:13:55:36 -0700 at the beginning
// of a text.
func commonTime(t string) (int64, bool) {
	if len(t) < len(commonLayout) || t[20] != ' ' {
		return 0, false
	}
	at, ok := localTime(t)
	zone := digits(t[22:24], &ok)*3600 + digits(t[24:26], &ok)*60
	switch t[21] {
	case '-':
		zone = -zone
	case '+':
	default:
		return 0, false
	}
	return at - zone, ok
}

// localTime reads the same without its zone: 10/Oct/2026:13:55:36.
func localTime(t string) (int64, bool) {
	if len(t) < 20 || t[2] != '/' || t[6] != '/' || t[11] != ':' || t[14] != ':' || t[17] != ':' {
		return 0, false
	}
	ok := true
	day, year := digits(t[0:2], &ok), digits(t[7:11], &ok)
	hour, minute, second := digits(t[12:14], &ok), digits(t[15:17], &ok), digits(t[18:20], &ok)
	month := strings.Index(months, t[3:6])
	if !ok || month < 0 || month%3 != 0 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 60 {
		return 0, false
	}
	return daysSince1970(year, int64(month/3+1), day)*86400 + hour*3600 + minute*60 + second, true
}

// isoTime reads a time of ISO 8601, in UTC where it names no zone.
func isoTime(text string) (int64, bool) {
	if len(text) < 19 || text[4] != '-' && text[4] != '/' {
		return 0, false
	}
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700",
		"2006/01/02 15:04:05",
	} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.Unix(), true
		}
	}
	return 0, false
}

// moment reads a time in any way in which a log writes one.
func moment(text string) (int64, bool) {
	text = strings.Trim(text, "[]")
	if at, ok := isoTime(text); ok {
		return at, true
	}
	if at, ok := commonTime(text); ok {
		return at, true
	}
	return seconds(text)
}

// seconds reads a number of seconds since 1970, also in smaller units.
func seconds(number string) (int64, bool) {
	if strings.ContainsAny(number, "eE") {
		f, err := strconv.ParseFloat(number, 64)
		return int64(f), err == nil
	}
	whole, _, _ := strings.Cut(number, ".")
	ok := whole != "" && len(whole) < 20
	n := digits(whole, &ok)
	switch {
	case n > 1e17: // nanoseconds
		n /= 1e9
	case n > 1e14: // microseconds
		n /= 1e6
	case n > 1e11: // milliseconds
		n /= 1e3
	}
	return n, ok
}

func digits(text string, ok *bool) int64 {
	var n int64
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c < '0' || c > '9' {
			*ok = false
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// daysSince1970 counts by years that begin in March, so that a leap day is
// the last of its year.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 719469
}
