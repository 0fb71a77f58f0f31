package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"testing"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/web"
)

// textID is what a text that does not exist looks like on a page.
var textID = regexp.MustCompile(`>\s*[a-z]+(\.[a-z_-]+)+\s*<`)

func TestPagesSpeakAllLanguagesAlike(t *testing.T) {
	if err := errors.Join(web.CheckTexts(Templates()), web.CheckTemplates(Templates())); err != nil {
		t.Error(err)
	}
}

func TestEveryPageRendersWithNothingToSay(t *testing.T) {
	k := newRig(t)
	views := map[string]any{
		"search": &searchView{}, "person": &personView{}, "edit": &editView{}, "act": &actView{}, "shown": &shownView{}, "key": &keyView{},
		"caller": &callerView{}, "bulk": &bulkView{}, "report": &bulkView{}, "import": &importView{}, "organisations": &organisationsView{},
		"organisation": &organisationView{}, "approvals": &approvalsView{}, "trail": &trailView{}, "event": &eventView{}, "messages": &messagesView{}, "token": &tokenView{},
	}
	for _, name := range PageNames {
		view, ok := views[name]
		if !ok {
			t.Fatalf("%s has no view here", name)
		}
		for _, lang := range []string{"en", "cy"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, rigOrigin+"/.stepgate/admin/?lang="+lang, nil)
			if err := k.Pages.Render(w, r, k.Web, http.StatusOK, name, reflect.ValueOf(view).Interface()); err != nil {
				t.Errorf("%s in %s: %v", name, lang, err)
			}
			if id := textID.FindString(w.Body.String()); id != "" {
				t.Errorf("%s in %s shows %s", name, lang, id)
			}
		}
	}
}

func TestEveryActHasItsTexts(t *testing.T) {
	k := newRig(t)
	r := httptest.NewRequest(http.MethodGet, rigOrigin+"/.stepgate/admin/", nil)
	has := func(id string) {
		t.Helper()
		if k.Pages.Text(r, k.Web, id) == id {
			t.Errorf("there is no text %s", id)
		}
	}
	for name := range acts {
		for _, part := range []string{"title", "text", "button", "link"} {
			has("act." + name + "." + part)
		}
	}
	for _, name := range bulkActs {
		has("bulk." + name)
	}
	for _, name := range dones {
		has("done." + name)
	}
	for _, k := range audit.Kinds() {
		has("event." + string(k.Name))
	}
	for _, word := range outcomes {
		has("outcome." + word)
	}
	for _, name := range record {
		has("field." + name)
	}
}
