package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestAnUntrustedForwarderIsToldOfOnce(t *testing.T) {
	for name, c := range map[string]struct {
		peer, client, forwarded string
		want                    int
	}{
		"a balancer in a private network": {"10.0.0.5:4711", "10.0.0.5", "203.0.113.9", 1},
		"on the same machine":             {"127.0.0.1:4711", "127.0.0.1", "203.0.113.9", 1},
		"over a socket":                   {"@", "", "203.0.113.9", 1},
		"one that is trusted":             {"10.0.0.5:4711", "203.0.113.9", "203.0.113.9", 0},
		"a stranger, who makes things up": {"203.0.113.9:4711", "203.0.113.9", "192.0.2.1", 0},
		"nothing that forwards":           {"10.0.0.5:4711", "10.0.0.5", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.WarnLevel)
			h := &Handler{logger: zap.New(core)}
			for range 3 {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.RemoteAddr = c.peer
				if c.forwarded != "" {
					r.Header.Set("X-Forwarded-For", c.forwarded)
				}
				r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: c.client}))
				h.warnAboutForwarder(r)
			}
			if logs.Len() != c.want {
				t.Errorf("%d warnings, want %d", logs.Len(), c.want)
			}
		})
	}
}
