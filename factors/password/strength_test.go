package password_test

import (
	"testing"

	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
)

func TestStrengthGoesByLengthAndDifferentCharacters(t *testing.T) {
	for text, want := range map[string]password.Strength{
		"kettle91":                       password.Fair,
		"kettle lante":                   password.Good,
		"kettle lantern 9":               password.Strong,
		"ababababababababababababababab": password.Fair,
		"ŵŷâêîôûŵŷâêî":                   password.Good,
	} {
		if got := password.Measure(account.Secret(text)); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}
