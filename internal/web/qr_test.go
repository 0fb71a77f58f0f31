package web

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/png"
	"strings"
	"testing"
)

func decodePicture(t *testing.T, url string) image.Image {
	t.Helper()
	data, ok := strings.CutPrefix(url, "data:image/png;base64,")
	if !ok {
		t.Fatalf("%.40s is no picture", url)
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

func dark(picture image.Image, x, y int) bool {
	r, _, _, _ := picture.At(x, y).RGBA()
	return r < 0x8000
}

func TestQRCodeHasItsQuietZoneAndFinders(t *testing.T) {
	const scale = 3
	url, err := QRCode("otpauth://totp/Portal:joe?secret=JBSWY3DPEHPK3PXP&issuer=Portal", scale)
	if err != nil {
		t.Fatal(err)
	}
	picture := decodePicture(t, string(url))
	side := picture.Bounds().Dx()
	modules := side/scale - 2*quietModules
	if side%scale != 0 || side != picture.Bounds().Dy() || (modules-17)%4 != 0 {
		t.Fatalf("%v is no QR code", picture.Bounds())
	}
	module := func(x, y int) bool { return dark(picture, (x+quietModules)*scale+1, (y+quietModules)*scale+1) }
	for i := -quietModules; i < modules+quietModules; i++ {
		for q := 1; q <= quietModules; q++ {
			if module(i, -q) || module(-q, i) || module(i, modules-1+q) || module(modules-1+q, i) {
				t.Fatalf("the quiet zone is not empty at %d, %d", i, q)
			}
		}
	}
	for _, corner := range [][2]int{{0, 0}, {modules - 7, 0}, {0, modules - 7}} {
		for i := range 7 {
			if !module(corner[0]+i, corner[1]) || !module(corner[0], corner[1]+i) || !module(corner[0]+3, corner[1]+3) || module(corner[0]+1, corner[1]+1) {
				t.Fatalf("no finder pattern at %v", corner)
			}
		}
	}
}

func TestQRCodeErrorsNeverQuoteTheText(t *testing.T) {
	secret := strings.Repeat("JBSWY3DPEHPK3PXP", 500)
	if _, err := QRCode(secret, 4); err == nil || strings.Contains(err.Error(), "JBSW") {
		t.Error(err)
	}
	for _, scale := range []int{-1, 0, 33} {
		if _, err := QRCode("x", scale); err == nil {
			t.Errorf("scale %d was taken", scale)
		}
	}
}
