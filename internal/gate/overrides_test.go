package gate

import (
	"net/http"
	"testing"
)

func TestHeadersThatNameAnotherPathAreKnownByTheirKind(t *testing.T) {
	for _, name := range []string{
		"X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Rewrite-URI", "X-Forwarded-URI", "X-Forwarded-Path", "X-Forwarded-Prefix",
		"X-Override-URL", "X-HTTP-DestinationURL", "X-HTTP-Path-Override", "X-Proxy-URL", "X-Envoy-Original-Path", "X-Script-Name",
		"Script-Name", "X-Forwarded-Script-Name", "X-Replaced-Path", "X-Original-Path", "X-Request-URI", "X-Rewrite-Path", "Request-Uri",
		"Path-Info", "X-Path-Info", "Path-Translated", "X-URL", "X-URI", "X-Path", "URL", "Script-Filename", "X-Forwarded-Request-Uri",
		"X-Forwarded-PathBase", "X-Original-Prefix", "X-ProxyContextPath", "X-Forwarded-Context", "X-Ingress-Path", "X-Matched-Path",
		"X-Invoke-Path", "X-Invoke-Query", "X-Middleware-Subrequest", "X-Waws-Unencoded-Url", "Base-Url", "X-Base-Path", "X-Real-URI",
		"X-Sendfile-Type", "X-Accel-Mapping", "X-Sendfile", "X-Accel-Redirect", "X-Reproxy-URL", "X_Lighttpd_Send_File", "X-Original-Query", "X-External-Path", "Redirect-Url", "X-Root-Path", "X-App-Root",
		"x!original!url", "X_SCRIPT_NAME", "Url-Override", "X-Http-Url-Override", "X-Original-Query-String", "X-Request-Url-Base",
	} {
		if !namesPath(name) || !namesPath(http.CanonicalHeaderKey(name)) {
			t.Errorf("%s passes", name)
		}
	}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Content-Type", "Content-Length", "Cookie",
		"Content-Location", "Destination", "Forwarded", "Host", "Hx-Current-Url", "Hx-Request", "If-Modified-Since", "Link", "Origin",
		"Referer", "Range", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Websocket-Key", "Slug", "Soapaction", "Te", "Traceparent",
		"Upgrade-Insecure-Requests", "User-Agent", "X-Csrf-Token", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port",
		"X-Forwarded-Proto", "X-Forwarded-Server", "X-Http-Method-Override", "X-Pjax-Container", "X-Real-Ip", "X-Request-Id",
		"X-Requested-With", "X-Original-Host", "X-Callback-Url", "X-Page-Path", "Upload-Offset", "X", "X-",
	} {
		if namesPath(name) {
			t.Errorf("%s is withheld", name)
		}
	}
}
