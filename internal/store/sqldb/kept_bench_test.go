package sqldb

import (
	"bytes"
	"crypto/rand"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/kept"
)

// BenchmarkKeep keeps a form with a file of 10 MiB, and in turn with that
// writes as many bytes to a file beside the store and waits for the disk. What
// HTTP adds is measured by scripts/bench.
func BenchmarkKeep(b *testing.B) {
	open, _ := scaleStore(b)
	db := open()
	err := db.write(b.Context(), func(t *tx) error { return t.InsertAccount(b.Context(), named("jo")) })
	if err != nil {
		b.Fatal(err)
	}
	body, kind := tenMiB(b)
	keeper := &kept.Keeper{Store: db, Max: 32 << 20, Now: time.Now}
	owner := kept.Owner{Account: account.ID("jo"), Browser: kept.BrowserOf("jo"), Site: "https://portal.example.gov"}
	raw := filepath.Join(b.TempDir(), "raw")
	var written, keeping []time.Duration
	for b.Loop() {
		begun := time.Now()
		if err := writeAndSync(raw, body); err != nil {
			b.Fatal(err)
		}
		written = append(written, time.Since(begun))
		r := httptest.NewRequest(http.MethodPost, "/cases", bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		begun = time.Now()
		q, err := keeper.Keep(r, owner, "/cases", audit.Event{Name: audit.RequestKept})
		if err != nil {
			b.Fatal(err)
		}
		keeping = append(keeping, time.Since(begun))
		if err := db.DropKept(b.Context(), q.ID); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(written)
	slices.Sort(keeping)
	for name, at := range map[string]int{"p50": len(written) / 2, "p10": len(written) / 10} {
		b.ReportMetric(float64(keeping[at].Microseconds())/1000, "kept-"+name+"-ms")
		b.ReportMetric(float64(written[at].Microseconds())/1000, "raw-"+name+"-ms")
		b.ReportMetric(float64(keeping[at])/float64(written[at]), "of-raw-"+name)
	}
	b.ReportMetric(0, "ns/op")
}

// tenMiB is a form with a file of that size.
func tenMiB(b *testing.B) (form []byte, kind string) {
	b.Helper()
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	file, err := parts.CreateFormFile("evidence", "photograph.jpg")
	if err == nil {
		_, err = io.CopyN(file, rand.Reader, 10<<20)
	}
	if err == nil {
		err = parts.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	return body.Bytes(), parts.FormDataContentType()
}

func writeAndSync(path string, text []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	return err
}
