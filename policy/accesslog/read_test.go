package accesslog

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const oneLine = `10.0.0.1 - - [02/Mar/2026:12:00:00 +0000] "GET /cases/7 HTTP/1.1" 200 1 "-" "b"` + "\n"

// bzipped is oneLine a hundred times, by bzip2.
const bzipped = "QlpoOTFBWSZTWXJwC6gACiffgEAQUAvxkALCRAo6ABgAMAFYAFGhoAAACjQ0AAAAUqpgJANPQ0mTYiyIuZF2IsCLEixItiLqRYkWRF9EWRFwRciLQi9hSMyLQpGJF2IvJF6IuhFqRaFI0IvwRYEW5FmRYEXQixIvBFkRZEWpFoItyLci1IsyLMiyIsCLmRakWJFiRYEXUi7kX2RakWhFuRdyLkRcEWRFwReCLyRbEWxFuReSL0RciL/F3JFOFCQcnALqAA=="

// requests counts those of some logs.
func requests(t *testing.T, logs ...Log) (n int, err error) {
	t.Helper()
	var p Parser
	err = Blocks(t.Context(), logs, func(b *Block) bool {
		p.Begin(b)
		for line := range strings.SplitSeq(b.Text, "\n") {
			if p.Parse(line, &Entry{}) == Request {
				n++
			}
		}
		return true
	})
	return n, err
}

// TestBlocksReadWhatIsPacked by its first bytes, and up to where it breaks off.
func TestBlocksReadWhatIsPacked(t *testing.T) {
	text := strings.Repeat(oneLine, 100)
	packed := map[string][]byte{"plain": []byte(text)}
	var err error
	if packed["bz2"], err = base64.StdEncoding.DecodeString(bzipped); err != nil {
		t.Fatal(err)
	}
	for name, pack := range map[string]func(io.Writer) (io.WriteCloser, error){
		"gz":  func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		"zst": func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
		"xz":  func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
	} {
		var b bytes.Buffer
		w, err := pack(&b)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
		w.Close()
		packed[name] = b.Bytes()
	}
	for name, all := range packed {
		if n, err := requests(t, Log{name, bytes.NewReader(all)}); err != nil || n != 100 {
			t.Errorf("%s: %d requests, %v", name, n, err)
		}
		if name == "plain" {
			continue
		}
		n, err := requests(t, Log{name, bytes.NewReader(all[:len(all)-10])}, Log{"next", strings.NewReader(oneLine)})
		if err == nil || !strings.Contains(err.Error(), "read "+name) || n < 1 {
			t.Errorf("%s cut short: %d requests, %v", name, n, err)
		}
	}
}

// TestBlocksKeepHeadings: the columns of a log hold until it names others, and
// not for the log behind it.
func TestBlocksKeepHeadings(t *testing.T) {
	var b strings.Builder
	b.WriteString("#Fields: date time cs-method cs-uri-stem c-ip sc-status\n")
	for range 40_000 {
		b.WriteString("2026-03-02 12:00:00 GET /a 192.0.2.7 200\n")
	}
	b.WriteString("#Fields: c-ip cs-method cs-uri-stem date time\n")
	for range 40_000 {
		b.WriteString("192.0.2.7 GET /a 2026-03-02 12:00:00\n")
	}
	n, err := requests(t, Log{"iis", strings.NewReader(b.String())}, Log{"other", strings.NewReader(oneLine)})
	if err != nil || n != 80_001 {
		t.Errorf("%d requests, %v", n, err)
	}
}

// TestBlocksCutLinesThatNeverEnd and go on behind them, in bounded memory.
func TestBlocksCutLinesThatNeverEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 100 MiB")
	}
	long := io.LimitReader(endless("x"), 100<<20)
	var cut int64
	n, largest := 0, 0
	err := Blocks(t.Context(), []Log{{"long", io.MultiReader(long, strings.NewReader("\n"+oneLine))}}, func(b *Block) bool {
		cut, largest = cut+b.Cut, max(largest, len(b.Text))
		n += strings.Count(b.Text, "GET")
		return true
	})
	if err != nil || cut != 1 || n != 1 || largest > BlockBytes {
		t.Errorf("%d cut, %d read, a block of %d bytes, %v", cut, n, largest, err)
	}
}

// TestBlocksLeaveOutTheMarkOfWindows, which would be part of an address.
func TestBlocksLeaveOutTheMarkOfWindows(t *testing.T) {
	var e Entry
	err := Blocks(t.Context(), []Log{{"marked", strings.NewReader("\xEF\xBB\xBF" + oneLine)}}, func(b *Block) bool {
		new(Parser).Parse(strings.TrimSuffix(b.Text, "\n"), &e)
		return true
	})
	if err != nil || e.Client != "10.0.0.1" {
		t.Errorf("client %q, %v", e.Client, err)
	}
}

func TestBlocksStopWhenNobodyListens(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	blocks := 0
	err := Blocks(ctx, []Log{{"endless", endless(oneLine)}}, func(*Block) bool {
		blocks++
		cancel()
		return false
	})
	if err != nil || blocks != 1 {
		t.Errorf("%d blocks, %v", blocks, err)
	}
	broken := errors.New("broken")
	if _, err := requests(t, Log{"disk", io.MultiReader(strings.NewReader(oneLine), failing{broken})}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// endless repeats a text.
type endless string

func (e endless) Read(p []byte) (int, error) { return copy(p, e), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestCommonTimeIsThatOfTheStandardLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		want := time.Unix(random.Int64N(4e9), 0).In(time.FixedZone("", (random.IntN(27)-12)*3600+random.IntN(4)*900))
		if got, ok := commonTime(want.Format(commonLayout)); !ok || got != want.Unix() {
			t.Fatalf("%s: %d, want %d", want, got, want.Unix())
		}
	}
}
