package account

import (
	"errors"
	"testing"
)

func TestReadNumberTellsWhatANumberReaches(t *testing.T) {
	for typed, want := range map[string]Number{
		"07700 900123":                   {"+447700900123", "GB"},
		"+44 7700 900123":                {"+447700900123", "GB"},
		"\u202a07700 900123\u202c\u200b": {"+447700900123", "GB"},
		"٠٧٧٠٠ ٩٠٠١٢٣":                   {"+447700900123", "GB"},
		"07797 712345":                   {"+447797712345", "JE"},
		"07781 123456":                   {"+447781123456", "GG"},
		"07624 123456":                   {"+447624123456", "IM"},
		"020 7946 0018":                  {"+442079460018", ""},
		"+1 202 555 0123":                {"+12025550123", "US"},
		"+49 1512 3456789":               {"+4915123456789", "DE"},
		"+44 7000 123456":                {"+447000123456", ""}, // in no list, and as long as one
	} {
		if got, err := ReadNumber(typed, "GB"); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", typed, got, err, want)
		}
	}
	for _, typed := range []string{"", "86444", "999", "07700 90012", "07700 9001234", "hello", "+44", "07700 900123 ext 4", "0800FLOWERS"} {
		if got, err := ReadNumber(typed, "GB"); !errors.Is(err, ErrNumber) {
			t.Errorf("%q: %+v, %v", typed, got, err)
		}
	}
	if _, err := ReadNumber("07700 900123", ""); !errors.Is(err, ErrNumberCountry) {
		t.Errorf("without a region: %v", err)
	}
}
