package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// scope is the instrumentation scope of all spans here.
const scope = "github.com/stepgate/stepgate"

// Step is a part of a trace, or nothing where none is recorded. The zero value
// is nothing.
type Step struct{ span trace.Span }

// Begin begins a step of the trace in ctx. The context that it returns is the
// step's, and ctx itself where nothing is recorded.
func Begin(ctx context.Context, name string) (context.Context, Step) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Step{}
	}
	ctx, span := parent.TracerProvider().Tracer(scope).Start(ctx, name)
	return ctx, Step{span}
}

// Recorded tells whether the step is part of a trace.
func (s Step) Recorded() bool { return s.span != nil }

// Say adds a word to a step: an outcome, a level, a channel.
func (s Step) Say(key, value string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// End ends the step, as failed where err is not nil. What err says stays in
// the log: it may hold more than a trace may.
func (s Step) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}
