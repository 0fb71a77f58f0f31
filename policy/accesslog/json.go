package accesslog

import "strings"

// readJSON reads a line that is an object: Caddy's access log, Traefik's, and
// what people have nginx, Apache and Envoy write, by the names that these
// servers have for things.
func readJSON(line string, e *Entry) (Format, Kind) {
	c := cursor{text: line}
	r := members{entry: e, format: JSON}
	ok := c.object(func(key string) bool { return r.member(&c, key) })
	switch {
	case !ok:
		return r.format, Broken
	case e.Method == "" && r.noRequest:
		return r.format, Other
	case e.Method == "" || e.Target == "" || !r.timed:
		if r.logged {
			return r.format, Other
		}
		return r.format, Broken
	}
	if r.query != "" && !strings.Contains(e.Target, "?") {
		e.Target += "?" + strings.TrimPrefix(r.query, "?")
	}
	e.absolute()
	if e.Client == "" {
		e.Client = r.forwarded
	}
	return r.format, Request
}

// members gathers what the members of an object say.
type members struct {
	entry  *Entry
	format Format
	timed  bool
	// logged tells of a log's own words: it need not be about a request.
	logged, noRequest bool
	query, forwarded  string
	// target and host tell how good a source Target and Host have: a name
	// that servers keep as it was sent is better.
	target, host int
}

// member reads one. The names of a server tell its format.
func (r *members) member(c *cursor, key string) bool {
	e := r.entry
	switch key {
	case "ts":
		return r.moment(c)
	case "logger", "msg", "level":
		r.logged = true
		return c.skip()
	case "request":
		if c.next() == '{' {
			r.format = Caddy
			return c.request(e)
		}
		return r.line(c)
	case "user_id", "remote_user", "ClientUsername", "remoteUser", "user":
		var ok bool
		e.User, ok = c.word()
		return ok
	case "status", "DownstreamStatus", "response_code", "status_code", "response":
		word, ok := c.word()
		e.Status = statusOf(word)
		return ok
	}
	if r.where(key) {
		return r.moment(c)
	}
	return r.other(c, key)
}

// where tells whether a member is the time of the request.
func (r *members) where(key string) bool {
	switch key {
	case "time_local", "time_iso8601", "msec":
		r.format = NginxJSON
	case "StartUTC":
		r.format = TraefikJSON
	case "start_time":
		r.format = EnvoyJSON
	case "time", "@timestamp", "timestamp", "datetime", "date":
	default:
		return false
	}
	return true
}

func (r *members) other(c *cursor, key string) bool {
	e := r.entry
	switch key {
	case "request_method", "method", "verb", "RequestMethod":
		r.named(key)
		var ok bool
		e.Method, ok = c.word()
		return ok && (e.Method == "" || isMethod(e.Method))
	case "request_uri", "RequestPath", "path", "uri", "url", "x-envoy-original-path":
		r.named(key)
		return r.path(c, key)
	case "args", "query", "query_string", "queryString":
		return c.into(&r.query)
	case "http_host", "host", "vhost", "virtualHost", "server_name", "serverName", "RequestHost", "authority":
		r.named(key)
		return r.hostOf(c, key)
	case "remote_addr", "client_ip", "remote_ip", "remoteIP", "remote_host", "remoteHost", "clientip", "ClientHost", "client":
		r.named(key)
		return r.clientOf(c)
	case "downstream_remote_address":
		r.format = EnvoyJSON
		return r.clientOf(c)
	case "http_x_forwarded_for", "x_forwarded_for":
		return r.forwardedOf(c)
	case "http_user_agent", "user_agent", "userAgent", "agent", "request_User-Agent":
		r.named(key)
		return c.into(&e.Agent)
	default:
		return c.skip()
	}
}

// named tells a format by a name that only its server has.
func (r *members) named(key string) {
	if r.format != JSON {
		return
	}
	switch key {
	case "request_uri", "http_host", "remote_addr", "http_user_agent", "request_method":
		r.format = NginxJSON
	case "remoteIP", "remoteHost", "virtualHost", "serverName", "userAgent", "remote_host":
		r.format = ApacheJSON
	case "RequestPath", "RequestHost", "RequestMethod", "ClientHost":
		r.format = TraefikJSON
	case "authority", "x-envoy-original-path":
		r.format = EnvoyJSON
	}
}

func (r *members) moment(c *cursor) bool {
	word, ok := c.word()
	if !ok {
		return false
	}
	at, ok := moment(word)
	if ok {
		r.entry.At, r.timed = at, true
	}
	return ok || r.timed
}

// line reads a request line, or a path alone.
func (r *members) line(c *cursor) bool {
	var text string
	if !c.into(&text) {
		return false
	}
	if strings.HasPrefix(text, "/") {
		r.setTarget(text, 2)
		return true
	}
	var one Entry
	if one.request(text) == Request {
		r.entry.Method = one.Method
		r.setTarget(one.Target, 3)
	} else {
		r.noRequest = true
	}
	return true
}

func (r *members) path(c *cursor, key string) bool {
	var text string
	if !c.into(&text) {
		return false
	}
	how := 1
	if key == "request_uri" || key == "RequestPath" || key == "x-envoy-original-path" {
		how = 4
	}
	r.setTarget(text, how)
	return true
}

func (r *members) setTarget(text string, how int) {
	if how > r.target && text != "" && text != "-" {
		r.entry.Target, r.target = text, how
	}
}

func (r *members) hostOf(c *cursor, key string) bool {
	word, ok := c.word()
	how := 2
	if key == "server_name" || key == "serverName" {
		how = 1
	}
	if how > r.host && word != "" && word != "-" {
		r.entry.Host, r.host = word, how
	}
	return ok
}

func (r *members) clientOf(c *cursor) bool {
	word, ok := c.word()
	if r.entry.Client == "" && word != "" && word != "-" {
		r.entry.Client = withoutPort(word)
	}
	return ok
}

func (r *members) forwardedOf(c *cursor) bool {
	word, ok := c.word()
	first, _, _ := strings.Cut(word, ",")
	r.forwarded = dashless(strings.TrimSpace(first))
	return ok
}
