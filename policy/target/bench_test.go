package target

import "testing"

func BenchmarkReadPlain(b *testing.B) {
	r := newReader(b)
	b.ReportAllocs()
	for b.Loop() {
		rs, err := r.Read("/cases/2026/0042/attachments/letter-to-applicant.pdf?page=2&sort=name")
		if err != nil || rs.Len() != 1 {
			b.Fatal(rs.Len(), err)
		}
	}
}

func BenchmarkReadCapitals(b *testing.B) {
	r := newReader(b)
	b.ReportAllocs()
	for b.Loop() {
		rs, err := r.Read("/Cases/2026/0042/Attachments/Letter.pdf")
		if err != nil || rs.Len() != 1 {
			b.Fatal(rs.Len(), err)
		}
	}
}

func BenchmarkReadEncoded(b *testing.B) {
	r := newReader(b)
	b.ReportAllocs()
	for b.Loop() {
		rs, err := r.Read("/caf%C3%A9/files/a%2Fb;v=1/100%25")
		if err != nil || rs.Len() != 4 {
			b.Fatal(rs.Len(), err)
		}
	}
}

func BenchmarkReadHostile(b *testing.B) {
	r := newReader(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read("/%252541;a//b%3Fc:d/%2520+/x.php/e%2Ff;g/%23h./i"); err == nil {
			b.Fatal("has at most 64 readings")
		}
	}
}

// TestReadPlainDoesNotAllocate holds the promise that the hot path relies on.
func TestReadPlainDoesNotAllocate(t *testing.T) {
	r := newReader(t)
	for _, tt := range []struct {
		raw  string
		want float64
	}{
		{"/", 0},
		{"/index.html?x=%41;b", 0},
		{"/v1.2/~joe/a-b_c,d=e@f!$&'()*/x.tar.gz", 0},
		{"/.stepgate/sign-in", 0},
		{"/login.php", 0},
		{"/Cases/Overview", 1},
	} {
		if got := testing.AllocsPerRun(100, func() { _, _ = r.Read(tt.raw) }); got != tt.want {
			t.Errorf("Read(%q) allocates %v times, want %v", tt.raw, got, tt.want)
		}
	}
}
