package web

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/draw"
	"image/png"

	"github.com/boombuler/barcode/qr"
)

// quietModules is the empty border that readers need (ISO/IEC 18004 §6.3.8).
const quietModules = 4

// QRCode draws text as a PNG picture in a data URL, scale pixels a module,
// with its quiet zone. What does not fit a QR code is an error. The picture
// holds what the text holds: show a secret's on its enrolment page only.
func QRCode(text string, scale int) (template.URL, error) {
	if scale < 1 || scale > 32 {
		return "", fmt.Errorf("qr code: scale %d is not between 1 and 32", scale)
	}
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", fmt.Errorf("qr code: %w", tooLong(text))
	}
	var b bytes.Buffer
	if err := png.Encode(&b, enlarge(code, scale)); err != nil {
		return "", fmt.Errorf("qr code: %w", err)
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil
}

// tooLong replaces the library's error, which might quote the text.
func tooLong(text string) error { return fmt.Errorf("%d bytes do not fit", len(text)) }

// enlarge draws each module as a square on white.
func enlarge(code image.Image, scale int) image.Image {
	modules := code.Bounds().Dx()
	side := (modules + 2*quietModules) * scale
	picture := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range modules {
		for x := range modules {
			if grey := color.GrayModel.Convert(code.At(x, y)).(color.Gray); grey.Y < 128 {
				at := image.Rect(0, 0, scale, scale).Add(image.Pt((x+quietModules)*scale, (y+quietModules)*scale))
				draw.Draw(picture, at, image.Black, image.Point{}, draw.Src)
			}
		}
	}
	return picture
}
