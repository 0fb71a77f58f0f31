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
	fields             map[string]string // hidden ones, and the button's
	charset            string
}

// findForm finds the last form on the page with a password and a name: a
// page's header may have one as well.
func findForm(d *document) *loginForm {
	var found *loginForm
	for _, node := range elements(d.text, "form") {
		if f := readForm(d, node); f != nil {
			found = f
		}
	}
	return found
}

func readForm(d *document, node *html.Node) *loginForm {
	action, err := d.URL.Parse(attribute(node, "action"))
	if err != nil {
		return nil
	}
	action.Fragment = ""
	f := &loginForm{action: action, method: strings.ToUpper(attribute(node, "method")), fields: map[string]string{}, charset: attribute(node, "accept-charset")}
	if f.method == "" {
		f.method = http.MethodGet
	}
	for input := range node.Descendants() {
		if input.Type != html.ElementNode || input.Data != "input" && input.Data != "button" {
			continue
		}
		f.read(input)
	}
	if f.username == "" || f.password == "" {
		return nil
	}
	return f
}

func (f *loginForm) read(input *html.Node) {
	name := attribute(input, "name")
	if name == "" {
		return
	}
	switch kind := strings.ToLower(attribute(input, "type")); {
	case kind == "password" && f.password == "":
		f.password = name
	case (kind == "" && input.Data == "input" || kind == "text" || kind == "email") && f.password == "":
		f.username = name // the last before the password
	case kind == "hidden", kind == "submit", input.Data == "button":
		f.fields[name] = attribute(input, "value")
	}
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
