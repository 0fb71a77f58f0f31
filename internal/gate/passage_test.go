package gate

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/stepgate/stepgate/internal/session"
)

// A passage is used again for whoever comes next.
func TestAPassageForgetsWhoWentBefore(t *testing.T) {
	p := &passage{
		visitor: visitor{entry: new(session.Entry)}, answer: new(Answer), http: new(http.Request), token: "secret", forward: "/x", unclaimed: true,
		claimed: []string{http.MethodDelete}, body: peeked{done: true, bytes: []byte("form")},
	}
	p.request.Username, p.request.Groups, p.request.SignedIn = "joe", []string{"admins"}, true
	p.release()
	if claimed := p.claimed[:1]; len(p.claimed) != 0 || claimed[0] != "" {
		t.Errorf("claims %q", claimed)
	}
	for i, v := 0, reflect.ValueOf(p).Elem(); i < v.NumField(); i++ {
		if name := v.Type().Field(i).Name; name != "claimed" && !v.Field(i).IsZero() {
			t.Errorf("%s is still there", name)
		}
	}
}
