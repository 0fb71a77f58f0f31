package legacyform

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// loginForm is a form with a password.
type loginForm struct {
	action             *url.URL
	method             string
	username, password string
	fields             map[string]string // those that a browser sends as they are, and the button's
	prefilled          string            // what the name's field has
	given              []string          // names of fields that somebody gives values for
	charset            string
}

// findForm finds the last form on the page with a password and a name: a
// page's header may have one as well.
func findForm(d *document, given []Field) *loginForm {
	var found *loginForm
	for _, node := range elements(d.text, "form") {
		if f := readForm(d, node, given); f != nil {
			found = f
		}
	}
	return found
}

func readForm(d *document, node *html.Node, given []Field) *loginForm {
	action, err := d.URL.Parse(attribute(node, "action"))
	if err != nil {
		return nil
	}
	action.Fragment = ""
	f := &loginForm{action: action, method: strings.ToUpper(attribute(node, "method")), fields: map[string]string{}, charset: attribute(node, "accept-charset")}
	if f.method == "" {
		f.method = http.MethodGet
	}
	for _, field := range given {
		f.given = append(f.given, field.Name)
	}
	for input := range node.Descendants() {
		if input.Type == html.ElementNode && slices.Contains([]string{"input", "button", "select"}, input.Data) {
			f.read(input)
		}
	}
	if f.username == "" || f.password == "" {
		return nil
	}
	return f
}

func (f *loginForm) read(input *html.Node) {
	name := attribute(input, "name")
	if name == "" || slices.Contains(f.given, name) || has(input, "disabled") {
		return
	}
	if input.Data == "select" {
		f.fields[name], _ = chosen(input)
		return
	}
	switch kind := strings.ToLower(attribute(input, "type")); {
	case kind == "password" && f.password == "":
		f.password = name
	case (kind == "" && input.Data == "input" || kind == "text" || kind == "email") && f.password == "":
		if f.username != "" { // the last before the password
			f.fields[f.username] = f.prefilled
		}
		f.username, f.prefilled = name, attribute(input, "value")
	case kind == "hidden", kind == "submit", input.Data == "button":
		f.fields[name] = attribute(input, "value")
	}
}

// chosen is what a select has: the value that is sent, and the text that is
// read.
func chosen(node *html.Node) (value, text string) {
	var first, picked *html.Node
	for n := range node.Descendants() {
		if n.Type != html.ElementNode || n.Data != "option" {
			continue
		}
		if first == nil {
			first = n
		}
		if has(n, "selected") {
			picked = n
		}
	}
	if picked == nil {
		picked = first
	}
	if picked == nil {
		return "", ""
	}
	text = content(picked)
	if !has(picked, "value") {
		return text, text
	}
	return attribute(picked, "value"), text
}

// content is the text in an element.
func content(node *html.Node) string {
	var b strings.Builder
	for n := range node.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func elements(text, name string) (found []*html.Node) {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return nil
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			found = append(found, n)
		}
	}
	return found
}

func attribute(n *html.Node, name string) string {
	i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
	if i < 0 {
		return ""
	}
	return n.Attr[i].Val
}

// lines are the texts that a person reads on a page.
func lines(text string) (found []string) {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return nil
	}
	for n := range root.Descendants() {
		if n.Type != html.TextNode || n.Parent != nil && slices.Contains([]string{"script", "style", "title", "noscript"}, n.Parent.Data) {
			continue
		}
		if line := strings.Join(strings.Fields(n.Data), " "); line != "" {
			found = append(found, line)
		}
	}
	return found
}

// links are the addresses on the same origin that a page leads to.
func links(d *document) (found []*url.URL) {
	for _, a := range elements(d.text, "a") {
		to, err := d.URL.Parse(attribute(a, "href"))
		if err != nil || to.Host != d.URL.Host || to.Scheme != d.URL.Scheme {
			continue
		}
		to.Fragment = ""
		if !slices.ContainsFunc(found, func(u *url.URL) bool { return u.String() == to.String() }) {
			found = append(found, to)
		}
	}
	return found
}
