// Package tracing tells a collector of OpenTelemetry how long the parts of a request took. A span has the pattern of a
// path, never the path itself, and the names of calls and their outcomes: no ID, no name of a secret, no value. Until
// Start has been called nothing is made, and Begin costs one look at a variable.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	spans "go.opentelemetry.io/otel/trace"
)

// Bounds of what waits for the collector: spans beyond them are dropped, and no request waits.
const (
	maxWaiting  = 2048
	exportTime  = 10 * time.Second
	exportEvery = 5 * time.Second
)

// w3c reads and writes traceparent and tracestate. Baggage, which could carry anything, is neither read nor sent.
var w3c propagation.TraceContext

// tracer makes the spans; nil until Start.
var tracer atomic.Pointer[spans.Tracer]

// Config is where spans go and how many of them.
type Config struct {
	Endpoint string  // URL of the collector's OTLP over HTTP; without a path, /v1/traces
	Ratio    float64 // of the traces, those that are kept
	Version  string  // of this program
	Server   string  // the name of this server among several; "" where there is one
	// Failed hears of spans that could not be sent.
	Failed func(error)
}

// Start sends spans to the collector from now on, until stop is called, which sends what still waits. The collector is
// not asked for before: one that is away loses spans, and no more.
func Start(ctx context.Context, c Config) (stop func(context.Context) error, err error) {
	at, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, errors.New("the collector's address is no URL")
	}
	if strings.Trim(at.Path, "/") == "" {
		at.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(at.String()),
		otlptracehttp.WithTimeout(exportTime), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: exportTime,
		}))
	if err != nil {
		return nil, fmt.Errorf("the collector of traces: %w", err)
	}
	about := []attribute.KeyValue{attribute.String("service.name", "strongroom"),
		attribute.String("service.version", c.Version)}
	if c.Server != "" {
		about = append(about, attribute.String("service.instance.id", c.Server))
	}
	provider := trace.NewTracerProvider(
		trace.WithBatcher(exporter, trace.WithMaxQueueSize(maxWaiting), trace.WithBatchTimeout(exportEvery),
			trace.WithExportTimeout(exportTime)),
		trace.WithResource(resource.NewSchemaless(about...)),
		trace.WithSampler(sampler(c.Ratio)),
	)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(c.Failed))
	t := provider.Tracer("strongroom")
	tracer.Store(&t)
	return func(ctx context.Context) error {
		tracer.Store(nil)
		if err := provider.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("sending the last traces: %w", err)
		}
		return nil
	}, nil
}

// sampler keeps a share of the traces. A caller can have his request left out, and cannot have it kept: his trace is
// one of the share, or not, like any other.
func sampler(ratio float64) trace.Sampler {
	share := trace.TraceIDRatioBased(ratio)
	return trace.ParentBased(share, trace.WithRemoteParentSampled(share))
}

// Span is a part of a request. The zero value is one that is not kept.
type Span struct {
	span   spans.Span
	method string // of a request
}

// methods are those that a span names.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodOptions, "LIST"}

// Request begins the span of a request that has come in, as a part of the caller's trace where it names one.
func Request(r *http.Request, id string) (context.Context, Span) {
	t := tracer.Load()
	if t == nil {
		return r.Context(), Span{}
	}
	method := r.Method
	if !slices.Contains(methods, method) {
		method = "_OTHER" // a caller may name one that is as long as he likes
	}
	ctx := w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := (*t).Start(ctx, method, spans.WithSpanKind(spans.SpanKindServer), spans.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("strongroom.request_id", id)))
	return ctx, Span{span, method}
}

// Begin begins the span of a call within a request, named by whose call it is and which; outside of one that is kept,
// it begins none.
func Begin(ctx context.Context, whose, call string) (context.Context, Span) {
	t := tracer.Load()
	if t == nil || !spans.SpanContextFromContext(ctx).IsSampled() {
		return ctx, Span{}
	}
	ctx, span := (*t).Start(ctx, whose+" "+call, spans.WithSpanKind(spans.SpanKindClient))
	return ctx, Span{span: span}
}

// Within gives ctx the span of another context: what is done once for several is a part of one of their traces.
func Within(ctx, of context.Context) context.Context {
	if tracer.Load() == nil {
		return ctx
	}
	return spans.ContextWithSpan(ctx, spans.SpanFromContext(of))
}

// Answered ends the span of a request with the pattern of its path, and its status.
func (s Span) Answered(route string, status int) {
	if s.span == nil {
		return
	}
	s.span.SetName(s.method + " " + route)
	s.span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}

// End ends the span of a call. outcome is a word such as ok or unavailable; what the error says is not sent.
func (s Span) End(outcome string, failed bool) {
	if s.span == nil {
		return
	}
	s.span.SetAttributes(attribute.String("strongroom.outcome", outcome))
	if failed {
		s.span.SetStatus(codes.Error, outcome)
	}
	s.span.End()
}

// Outgoing is a request that tells its receiver which trace it is a part of.
func Outgoing(r *http.Request) *http.Request {
	if tracer.Load() == nil || !spans.SpanContextFromContext(r.Context()).IsSampled() {
		return r
	}
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	w3c.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	return r
}
