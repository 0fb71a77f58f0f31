package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report prints the table as Markdown. Of a row's turns the median is shown;
// ratios are those of the fastest tenth, and in brackets the median of the
// ratios in each round.
func (b *bench) report(w io.Writer) error {
	fmt.Fprintf(w, "%d rounds; %d requests a turn by %d connections.\n\n", b.rounds, b.requests, b.parallel)
	fmt.Fprintln(w, "| | CPU s of 100,000 | of bare | of floor | of signed in | a second | p50 | p99 | memory |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for _, r := range b.rows {
		memory := "–"
		if r.memory != nil {
			n, err := r.memory()
			if err != nil {
				return err
			}
			memory = fmt.Sprintf("%d MB", n/1_000_000)
		}
		if r.live != nil {
			n, err := r.live()
			if err != nil {
				return err
			}
			memory += fmt.Sprintf(", %d MB alive", n/1_000_000)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", r.name, number(r.median(cpuOf)), strings.Join(r.ratios(), " | "),
			number(r.median(rateOf)), latency(r.median(p50Of)), latency(r.median(p99Of)), memory)
	}
	return nil
}

func cpuOf(t turn) float64  { return t.cpu }
func rateOf(t turn) float64 { return t.rate }
func p50Of(t turn) float64  { return t.p50.Seconds() }
func p99Of(t turn) float64  { return t.p99.Seconds() }

func (r *row) values(of func(turn) float64) []float64 {
	var all []float64
	for _, t := range r.results {
		all = append(all, of(t))
	}
	return all
}

func (r *row) median(of func(turn) float64) float64 { return median(r.values(of)) }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// best is the mean of the fastest tenth: that with the least CPU time, or the
// highest rate.
func (r *row) best(bySpeed bool) float64 {
	values := r.values(cpuOf)
	if bySpeed {
		values = r.values(rateOf)
	}
	slices.Sort(values)
	if bySpeed {
		slices.Reverse(values)
	}
	n := max(1, len(values)/10)
	sum := 0.0
	for _, v := range values[:n] {
		sum += v
	}
	return sum / float64(n)
}

// ratios are the three columns: to bare, floor and the plain signed-in row. A
// row that is compared with something else names that in the first.
func (r *row) ratios() []string {
	columns := []string{"", "", ""}
	for i, other := range r.beside {
		text := r.ratio(other)
		if other.beside == nil && !strings.HasPrefix(other.name, "bare") {
			text += " of " + other.name
		}
		columns[i] = text
	}
	return columns
}

func (r *row) ratio(other *row) string {
	of := cpuOf
	if r.bySpeed {
		of = rateOf
	}
	rounds := make([]float64, len(r.results))
	for i := range rounds {
		rounds[i] = of(r.results[i]) / of(other.results[i])
	}
	return fmt.Sprintf("%.2f (%.2f)", r.best(r.bySpeed)/other.best(r.bySpeed), median(rounds))
}

// number has three digits that count, and groups thousands.
func number(n float64) string {
	switch {
	case n < 10:
		return strconv.FormatFloat(n, 'f', 2, 64)
	case n < 100:
		return strconv.FormatFloat(n, 'f', 1, 64)
	default:
		return grouped(int(n))
	}
}

func grouped(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

func latency(seconds float64) string {
	if seconds == 0 {
		return "–"
	}
	return time.Duration(seconds * float64(time.Second)).Round(10 * time.Microsecond).String()
}
