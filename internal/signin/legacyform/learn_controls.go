package legacyform

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// standing is what a place on a page is to whoever looks at it.
type standing int

const (
	plain    standing = iota // text, a link, an attribute
	editable                 // in a control that takes what people type or choose
	fixed                    // in a control that shows a value and takes none
)

// control is a stretch of a page's source, by byte offsets.
type control struct {
	begin, end int
	standing   standing
}

type controls []control

// at is the standing of an offset, and where its control begins, -1 for none.
func (cs controls) at(offset int) (standing, int) {
	for _, c := range cs {
		if c.begin <= offset && offset < c.end {
			return c.standing, c.begin
		}
	}
	return plain, -1
}

// controlsOf finds where a page's controls stand in its source.
func controlsOf(text string) (found controls) {
	tokens := html.NewTokenizer(strings.NewReader(text))
	offset, open := 0, -1 // open: the control whose content is being read
	for {
		kind := tokens.Next()
		if kind == html.ErrorToken {
			return found
		}
		begin := offset
		offset += len(tokens.Raw())
		token := tokens.Token()
		switch {
		case kind == html.StartTagToken && open < 0 && (token.Data == "textarea" || token.Data == "select"):
			open = len(found)
			found = append(found, control{begin, len(text), standingOf(&html.Node{Data: token.Data, Attr: token.Attr})})
		case kind == html.EndTagToken && open >= 0 && (token.Data == "textarea" || token.Data == "select"):
			found[open].end, open = offset, -1
		case (kind == html.StartTagToken || kind == html.SelfClosingTagToken) && token.Data == "input":
			if s := standingOf(&html.Node{Data: token.Data, Attr: token.Attr}); s != plain {
				found = append(found, control{begin, offset, s})
			}
		}
	}
}

// notTyped are kinds of input whose value is the page's.
var notTyped = []string{"hidden", "submit", "button", "image", "reset", "checkbox"}

func standingOf(node *html.Node) standing {
	switch {
	case node.Data == "input" && slices.Contains(notTyped, strings.ToLower(attribute(node, "type"))):
		return plain
	case has(node, "disabled"), has(node, "readonly") && node.Data != "select":
		return fixed
	default:
		return editable
	}
}

// offers names the first control of a page that offers a name for editing, ""
// for none.
func offers(d *document, name string) string {
	for _, kind := range []string{"input", "select", "textarea"} {
		for _, node := range elements(d.text, kind) {
			if standingOf(node) != editable || searches(node) {
				continue
			}
			for _, value := range valuesOf(node) {
				if strings.EqualFold(strings.TrimSpace(value), name) {
					return "the field " + attribute(node, "name")
				}
			}
		}
	}
	return ""
}

// searches tells whether a control only asks for a page: its form goes by GET,
// which changes nothing. A form that says neither how nor where it goes is a
// script's, and may change anything.
func searches(node *html.Node) bool {
	if node.Data == "input" && strings.EqualFold(attribute(node, "type"), "search") {
		return true
	}
	for up := range node.Ancestors() {
		if up.Data == "form" {
			method := attribute(up, "method")
			return strings.EqualFold(method, http.MethodGet) || method == "" && has(up, "action")
		}
	}
	return false
}

func valuesOf(node *html.Node) []string {
	switch node.Data {
	case "select":
		value, text := chosen(node)
		return []string{value, text}
	case "textarea":
		return []string{content(node)}
	default:
		return []string{attribute(node, "value")}
	}
}
