package caddymodule

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// worldOf is a MaxMind database (format 2.0) in which the lower half of IPv4
// is one country and the upper half another.
func worldOf(t *testing.T, lower, upper string) string {
	t.Helper()
	text := func(s string) []byte { return append([]byte{0x40 | byte(len(s))}, s...) }
	dict := func(pairs ...[]byte) []byte {
		return append([]byte{0xe0 | byte(len(pairs)/2)}, bytes.Join(pairs, nil)...)
	}
	number := func(kind byte, n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{kind<<5 | 4}, n) }
	small := func(n uint16) []byte { return binary.BigEndian.AppendUint16([]byte{5<<5 | 2}, n) }
	place := func(code string) []byte { return dict(text("country"), dict(text("iso_code"), text(code))) }
	first, second := place(lower), place(upper)
	const nodes = 1
	var b bytes.Buffer
	b.Write([]byte{0, 0, nodes + 16, 0, 0, byte(nodes + 16 + len(first))})
	b.Write(make([]byte, 16))
	b.Write(first)
	b.Write(second)
	b.WriteString("\xab\xcd\xefMaxMind.com")
	b.Write(dict(
		text("node_count"), number(6, nodes), text("record_size"), small(24), text("ip_version"), small(4),
		text("binary_format_major_version"), small(2), text("binary_format_minor_version"), small(0),
		text("database_type"), text("Test-Country"), text("build_epoch"), append([]byte{4, 2}, 0, 0, 0, 1),
		text("languages"), []byte{0, 4}, text("description"), dict(),
	))
	file := filepath.Join(t.TempDir(), "world.mmdb")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCountriesComeFromTheDatabase(t *testing.T) {
	app := &App{GeoIP: worldOf(t, "GB", "FR")}
	if err := app.openGeoIP(); err != nil {
		t.Fatal(err)
	}
	defer app.countries.Load().Close()
	for address, want := range map[string]string{"81.2.69.142": "GB", "200.1.2.3": "FR", "::1": "", "": ""} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: address}))
		if got := app.countryOf(r); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

func TestADatabaseThatIsNotThereIsRefused(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.mmdb")
	if err := os.WriteFile(broken, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(t.TempDir(), "none.mmdb"), broken} {
		app := &App{GeoIP: file, Source: "Caddyfile:2"}
		if err := app.openGeoIP(); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
