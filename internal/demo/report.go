package demo

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

var reportMade = time.Date(2026, time.January, 12, 9, 0, 0, 0, time.UTC)

func (p *portal) report(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/pdf")
	http.ServeContent(w, r, "2026.pdf", reportMade, bytes.NewReader(reportPDF()))
}

// reportPDF draws one page with three lines of text: catalogue, page tree,
// page, font, contents, then the cross-reference table with each offset
// (ISO 32000-1, 7.5).
func reportPDF() []byte {
	text := "BT /F1 20 Tf 72 760 Td (County of Ashdown: annual report 2026) Tj " +
		"/F1 12 Tf 0 -36 Td (Cases filed: 42) Tj 0 -18 Td (Cases closed: 14) Tj ET"
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(text), text),
	}
	var out bytes.Buffer
	out.WriteString("%PDF-1.4\n")
	var table bytes.Buffer
	for i, body := range objects {
		fmt.Fprintf(&table, "%010d 00000 n \n", out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, body)
	}
	start, size := out.Len(), len(objects)+1
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n%s", size, table.String())
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", size, start)
	return out.Bytes()
}
