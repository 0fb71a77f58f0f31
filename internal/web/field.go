package web

import (
	"fmt"
	"strings"
)

// Field is one input with all that belongs to it. Templates make it with
// View.Input and show it with the part "field".
type Field struct {
	// Name is also the id that the error summary links to.
	Name string
	// Kind is text, email, tel, search, code, password, pin, answer, select or
	// radios.
	Kind string
	// Label and Hint are what the person reads. The label of radios is their legend.
	Label, Hint string
	Value       string
	// Autocomplete is the token of HTML's autofill; empty takes the kind's own.
	Autocomplete string
	// Options of select and radios.
	Options []Option
	// Error is this field's text from View.Errors.
	Error string
	// Narrow is for answers of a few letters.
	Narrow bool
}

// Option is one choice of a select or a group of radios.
type Option struct{ Value, Text, Hint string }

// kinds are the kinds of fields with the autofill token each takes by itself.
// HTML's autocomplete; WCAG 2.2 SC 1.3.5.
var kinds = map[string]string{
	"text":     "",
	"search":   "off",
	"email":    "email",
	"tel":      "tel",
	"code":     "one-time-code",
	"password": "current-password",
	"pin":      "off",
	"answer":   "off",
	"select":   "",
	"radios":   "",
}

// unfilled are the kinds whose answers a page never repeats.
var unfilled = map[string]bool{"code": true, "password": true, "pin": true, "answer": true}

// Input describes a field: pairs of "kind", "label", "hint", "value",
// "autocomplete", "options" and "narrow" with their values. What was entered
// before an error wins over "value".
func (v *View) Input(name string, pairs ...any) (Field, error) {
	f := Field{Name: name, Kind: "text"}
	if err := f.set(pairs); err != nil {
		return Field{}, fmt.Errorf("field %q: %w", name, err)
	}
	token, ok := kinds[f.Kind]
	if !ok {
		return Field{}, fmt.Errorf("field %q: unknown kind %q", name, f.Kind)
	}
	if f.Autocomplete == "" {
		f.Autocomplete = token
	}
	if v.Public && f.Kind != "code" { // those are good once
		f.Autocomplete = "off"
	}
	if entered, ok := v.Values[name]; ok {
		f.Value = entered
	}
	if unfilled[f.Kind] {
		f.Value = ""
	}
	for _, e := range v.Errors {
		if e.Field == name {
			f.Error = e.Text
			break
		}
	}
	return f, nil
}

func (f *Field) set(pairs []any) error {
	if len(pairs)%2 != 0 {
		return fmt.Errorf("settings come in pairs")
	}
	for i := 0; i < len(pairs); i += 2 {
		if err := f.setOne(pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (f *Field) setOne(key, value any) error {
	ok := false
	switch key {
	case "kind":
		f.Kind, ok = value.(string)
	case "label":
		f.Label, ok = value.(string)
	case "hint":
		f.Hint, ok = value.(string)
	case "value":
		f.Value, ok = value.(string)
	case "autocomplete":
		f.Autocomplete, ok = value.(string)
	case "options":
		f.Options, ok = value.([]Option)
	case "narrow":
		f.Narrow, ok = value.(bool)
	default:
		return fmt.Errorf("unknown setting %q", key)
	}
	if !ok {
		return fmt.Errorf("setting %q cannot be a %T", key, value)
	}
	return nil
}

// Describes lists the ids that aria-describedby names, most urgent last.
func (f Field) Describes() string {
	switch {
	case f.Hint != "" && f.Error != "":
		return f.Name + "-hint " + f.Name + "-error"
	case f.Hint != "":
		return f.Name + "-hint"
	case f.Error != "":
		return f.Name + "-error"
	}
	return ""
}

// Type is the type attribute of the input.
func (f Field) Type() string {
	switch f.Kind {
	case "password", "pin":
		return "password"
	case "email", "tel", "search":
		return f.Kind
	}
	return "text"
}

// Numeric asks for a keyboard of digits.
func (f Field) Numeric() bool { return f.Kind == "code" || f.Kind == "pin" }

// Plain inputs take neither capitals nor spelling aids.
func (f Field) Plain() bool { return f.Kind != "text" || strings.HasPrefix(f.Autocomplete, "username") }

// Button is one button of a form. Templates make it with button and show it
// with the part "button".
type Button struct {
	Text string
	// Name and Value are sent when this button is the one pressed.
	Name, Value string
	// Kind is empty (the one main action), "secondary", "warning" or "link".
	Kind string
	// ID is for scripts.
	ID string
}

// newButton is the template function button: a text and pairs of "name",
// "value", "kind", "id".
func newButton(text string, pairs ...string) (Button, error) {
	b := Button{Text: text}
	if len(pairs)%2 != 0 {
		return b, fmt.Errorf("button %q: settings come in pairs", text)
	}
	for i := 0; i < len(pairs); i += 2 {
		switch pairs[i] {
		case "name":
			b.Name = pairs[i+1]
		case "value":
			b.Value = pairs[i+1]
		case "kind":
			b.Kind = pairs[i+1]
		case "id":
			b.ID = pairs[i+1]
		default:
			return b, fmt.Errorf("button %q: unknown setting %q", text, pairs[i])
		}
	}
	return b, nil
}

// newOption is the template function option: value, text and perhaps a hint.
func newOption(value, text string, hint ...string) Option {
	o := Option{Value: value, Text: text}
	if len(hint) > 0 {
		o.Hint = hint[0]
	}
	return o
}

// newOptions is the template function options.
func newOptions(options ...Option) []Option { return options }
