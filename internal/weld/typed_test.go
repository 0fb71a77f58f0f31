package weld

import (
	"testing"
	"time"
)

func TestTypedNameIsTheLastOfItsValues(t *testing.T) {
	var turns Turns
	a, b := Hash{1}, Hash{2}
	if name, ok := turns.TypedWith([]Hash{a}, noon); ok {
		t.Errorf("%q was never typed", name)
	}
	turns.RememberTyped([]Hash{a}, "ann", noon)
	turns.RememberTyped([]Hash{a, b}, "joe", noon)
	if name, ok := turns.TypedWith([]Hash{{9}, a, b}, noon); !ok || name != "joe" {
		t.Errorf("%q, %v", name, ok)
	}
	turns.RememberTyped([]Hash{b}, "ann", noon)
	if name, ok := turns.TypedWith([]Hash{a, b}, noon); ok {
		t.Errorf("of two names it is %q", name)
	}
	if name, ok := turns.TypedWith([]Hash{a}, noon.Add(typedFor-time.Second)); !ok || name != "joe" {
		t.Errorf("just before its end it is %q, %v", name, ok)
	}
	if name, ok := turns.TypedWith([]Hash{a}, noon.Add(typedFor)); ok {
		t.Errorf("%q is remembered for too long", name)
	}
}

func TestStrangersFillNoMemoryWithNames(t *testing.T) {
	var turns Turns
	for i := range 3 * maxTyped {
		turns.RememberTyped([]Hash{{byte(i), byte(i >> 8), byte(i >> 16)}}, "joe", noon)
	}
	if n := len(turns.typed.names); n > maxTyped {
		t.Errorf("%d names", n)
	}
}
