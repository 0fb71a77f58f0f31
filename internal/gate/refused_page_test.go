package gate

import (
	"net/http"
	"testing"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/web"
)

// A form of ours that was left open for a day is out of date and nothing worse.
func TestAFormThatIsOverIsNoForgery(t *testing.T) {
	if name, reason := refusal(&web.Fail{Status: http.StatusForbidden, Err: web.ErrOldForm}); name != audit.SequenceFail || reason != "form-over" {
		t.Errorf("the trail has %s, %s", name, reason)
	}
}

// The app's own question to a stranger is no malformed request.
func TestTheAppsQuestionIsAStepUp(t *testing.T) {
	if name, reason := refusal(&web.Fail{Status: http.StatusUnauthorized}); name != audit.StepUpRequired || reason != "app-asks" {
		t.Errorf("the trail has %s, %s", name, reason)
	}
}
