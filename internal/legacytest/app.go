package legacytest

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// App is a running web application with a login form of its own.
type App struct {
	Server
	Accounts []Account // administrator first
	Login    LoginForm
}

// LoginForm is how the application's own form is filled in.
type LoginForm struct {
	Page          string // path and query that show the form
	Submit        string // path and query that the form goes to
	UsernameField string
	PasswordField string
}

// SignIn fetches the login page at base, which is the application's own URL or
// that of a gateway before it, fills in name and password, submits, and returns
// the answer with its body read and closed. It follows no redirect after the
// submit. The client needs a cookie jar.
func (f LoginForm) SignIn(ctx context.Context, client *http.Client, base string, who Account) (*http.Response, string, error) {
	direct := *client
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	get, err := http.NewRequestWithContext(ctx, http.MethodGet, base+f.Page, nil)
	if err != nil {
		return nil, "", err
	}
	_, page, err := exchange(client, get)
	if err != nil {
		return nil, "", fmt.Errorf("login page: %w", err)
	}
	form, err := f.fields(page)
	if err != nil {
		return nil, "", err
	}
	form.Set(f.UsernameField, who.Username)
	form.Set(f.PasswordField, who.Password)
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, base+f.Submit, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", err
	}
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	post.Header.Set("Origin", base)
	post.Header.Set("Referer", base+f.Page)
	res, body, err := exchange(&direct, post)
	if err != nil {
		return nil, "", fmt.Errorf("login: %w", err)
	}
	return res, body, nil
}

var (
	formElement  = regexp.MustCompile(`(?is)<form\b.*?</form>`)
	inputElement = regexp.MustCompile(`(?is)<(?:input|button)\b[^>]*>`)
	attribute    = regexp.MustCompile(`(?is)([a-z_-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')`)
)

// fields returns the hidden fields and the submit button of the login form on
// the page: the last that asks for a password, since a page's header may have
// one as well.
func (f LoginForm) fields(page string) (url.Values, error) {
	for _, form := range slices.Backward(formElement.FindAllString(page, -1)) {
		if !strings.Contains(form, `name="`+f.PasswordField+`"`) {
			continue
		}
		values := url.Values{}
		for _, input := range inputElement.FindAllString(form, -1) {
			at := map[string]string{}
			for _, m := range attribute.FindAllStringSubmatch(input, -1) {
				at[strings.ToLower(m[1])] = html.UnescapeString(m[2] + m[3])
			}
			if kind := strings.ToLower(at["type"]); at["name"] != "" && (kind == "hidden" || kind == "submit") {
				values.Set(at["name"], at["value"])
			}
		}
		return values, nil
	}
	return nil, fmt.Errorf("no form with the field %q on the login page", f.PasswordField)
}

// exchange sends r and reads the whole answer.
func exchange(client *http.Client, r *http.Request) (*http.Response, string, error) {
	res, err := client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}
