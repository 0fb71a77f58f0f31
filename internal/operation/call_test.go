package operation

import (
	"encoding/json"
	"testing"
)

// call performs an operation as the admin endpoint does.
func call[In, Out any](t *testing.T, p Place, op Of[In, Out], in In) (Out, error) {
	t.Helper()
	var out Out
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	output, err := Perform(t.Context(), p, op.Name, input)
	if err == nil {
		err = json.Unmarshal(output, &out)
	}
	return out, err
}
