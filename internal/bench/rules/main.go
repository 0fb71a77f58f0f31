package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

type options struct {
	binary string
	sizes  []int
	rounds int
	lines  int
}

func main() {
	o := options{sizes: []int{10, 1000, 10_000, 100_000}}
	flag.StringVar(&o.binary, "binary", "", "the gateway's binary")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; each measures everything once, and the median counts")
	flag.IntVar(&o.lines, "lines", 1_000_000, "lines of the log that is rehearsed")
	flag.Func("rules", "sizes of policies, by commas", func(text string) error {
		o.sizes = nil
		for word := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 {
				return fmt.Errorf("%s: expected numbers above zero", word)
			}
			o.sizes = append(o.sizes, n)
		}
		return nil
	})
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// cell is what was measured of one thing, round by round.
type cell []cost

// median goes by CPU time.
func (c cell) median() cost {
	slices.SortFunc(c, func(a, b cost) int { return int(a.cpu - b.cpu) })
	return c[len(c)/2]
}

func run(o options) error {
	if o.binary == "" {
		return errors.New("name the gateway's binary with -binary")
	}
	dir, err := os.MkdirTemp("", "stepgate-rules-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log := filepath.Join(dir, "access.log")
	if err := writeLog(log, o.lines); err != nil {
		return err
	}
	table := map[string]map[int]cell{}
	for range o.rounds {
		for _, n := range o.sizes {
			files, err := writeFiles(filepath.Join(dir, strconv.Itoa(n)), n)
			if err != nil {
				return err
			}
			files.log = log
			for _, one := range measured(o.binary, files) {
				c, err := one.measure()
				if err != nil {
					return fmt.Errorf("%s of %d rules: %w", one.name, n, err)
				}
				if table[one.name] == nil {
					table[one.name] = map[int]cell{}
				}
				table[one.name][n] = append(table[one.name][n], c)
			}
		}
	}
	report(o, table)
	return nil
}

// report prints the table as Markdown: CPU time and peak memory of each.
func report(o options, table map[string]map[int]cell) {
	fmt.Print("| |")
	for _, n := range o.sizes {
		fmt.Printf(" %s rules |", grouped(n))
	}
	fmt.Println("\n|---|" + strings.Repeat("---|", len(o.sizes)))
	for _, name := range names {
		if table[name] == nil {
			continue
		}
		fmt.Printf("| %s |", name)
		for _, n := range o.sizes {
			fmt.Printf(" %s |", table[name][n].median())
		}
		fmt.Println()
	}
}

func grouped(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
