package telemetry

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestStepsBelongToTheTraceThatIsRecorded(t *testing.T) {
	seen := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(seen))
	ctx, root := provider.Tracer("around").Start(t.Context(), "request")
	inner, step := Begin(ctx, "stepgate find")
	_, deeper := Begin(inner, "stepgate store read")
	deeper.End(errors.New("password of joe"))
	step.Say("stepgate.outcome", "allow")
	step.End(nil)
	root.End()
	spans := seen.Ended()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	store, find := spans[0], spans[1]
	if store.Parent().SpanID() != find.SpanContext().SpanID() || find.Parent().SpanID() != root.SpanContext().SpanID() {
		t.Error("steps are not one in the other")
	}
	if store.Status().Code != codes.Error || store.Status().Description != "" || len(store.Events()) != 0 {
		t.Errorf("a failed step is %+v with %v", store.Status(), store.Events())
	}
	if find.Status().Code != codes.Unset || len(find.Attributes()) != 1 {
		t.Errorf("%+v %v", find.Status(), find.Attributes())
	}
}

func TestWithoutATraceAStepCostsNothing(t *testing.T) {
	ctx := t.Context()
	var same context.Context
	var recorded bool
	n := testing.AllocsPerRun(100, func() {
		var s Step
		same, s = Begin(ctx, "stepgate find")
		s.Say("a", "b")
		s.End(nil)
		recorded = recorded || s.Recorded()
	})
	if n != 0 || same != ctx || recorded {
		t.Errorf("%v allocations", n)
	}
}
