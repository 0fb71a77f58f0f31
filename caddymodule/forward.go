package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/internal/audit"
)

// parseAudit reads
//
//	audit {
//		syslog tcp://HOST:PORT|tls://HOST:PORT
//		json_lines PATH|tcp://HOST:PORT|tls://HOST:PORT
//	}
func (a *App) parseAudit(d *caddyfile.Dispenser) error {
	a.Audit = new(AuditConfig)
	if err := block.NoMore(d); err != nil {
		return err
	}
	return block.Block{Name: "audit", Options: map[string]func(*caddyfile.Dispenser) error{
		"syslog":     block.Checked(&a.Audit.Syslog, checkReceiver),
		"json_lines": a.parseLines,
	}}.Parse(d)
}

func (a *App) parseLines(d *caddyfile.Dispenser) error {
	next := *d
	if next.NextArg() && strings.Contains(next.Val(), "://") {
		return block.Checked(&a.Audit.JSONLines, checkReceiver)(d)
	}
	return block.Path(&a.Audit.JSONLines)(d)
}

// checkReceiver tells what is wrong with where a stream goes.
func checkReceiver(address string) error {
	network, at, ok := strings.Cut(address, "://")
	if ok && network == "udp" {
		return errors.New("UDP loses what a receiver does not take; expected tcp:// or tls://")
	}
	host, port, err := net.SplitHostPort(at)
	if !ok || network != "tcp" && network != "tls" || err != nil || host == "" || port == "" {
		return errors.New("expected tcp://HOST:PORT or tls://HOST:PORT")
	}
	return nil
}

func (c *AuditConfig) check() error {
	if c == nil {
		return nil
	}
	var errs []error
	if c.Syslog != "" {
		if err := checkReceiver(c.Syslog); err != nil {
			errs = append(errs, errors.Join(errors.New("syslog "+c.Syslog), err))
		}
	}
	if strings.Contains(c.JSONLines, "://") {
		if err := checkReceiver(c.JSONLines); err != nil {
			errs = append(errs, errors.Join(errors.New("json_lines "+c.JSONLines), err))
		}
	}
	return errors.Join(errs...)
}

// forwarding is what sends the trail outside for one configuration.
type forwarding struct {
	end  context.CancelFunc
	done sync.WaitGroup
}

// forward begins to send the trail to the receivers of a configuration.
func (a *App) forward(r *runtime) {
	if a.Audit == nil {
		return
	}
	ctx, end := context.WithCancel(context.Background())
	a.forwarding = &forwarding{end: end}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	begin := func(name string, open func(context.Context) (audit.Sink, error)) {
		f := &audit.Forwarder{Name: name, Rows: r.store, Receivers: r.store, Open: open, Now: time.Now, Report: func(err error) {
			if err == nil {
				r.log.Info("the audit trail goes out again", zap.String("to", name))
				return
			}
			r.log.Error("the audit trail does not go out; nothing is lost, and it is tried again", zap.String("to", name), zap.Error(err))
		}}
		a.forwarding.done.Go(func() { f.Run(ctx) })
	}
	if to := a.Audit.Syslog; to != "" {
		begin("syslog "+to, stream(to, audit.SyslogFrame(host)))
	}
	switch to := a.Audit.JSONLines; {
	case to == "":
	case strings.Contains(to, "://"):
		begin("json_lines "+to, stream(to, audit.LineFrame))
	default:
		path := to
		if absolute, err := filepath.Abs(to); err == nil {
			path = absolute
		}
		begin("json_lines "+host+" "+path, func(context.Context) (audit.Sink, error) { return audit.OpenFile(path) })
	}
}

// stream reaches a receiver at an address.
func stream(to string, frame func(audit.Record) []byte) func(context.Context) (audit.Sink, error) {
	network, address, _ := strings.Cut(to, "://")
	return func(ctx context.Context) (audit.Sink, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		var conn net.Conn
		var err error
		if network == "tls" {
			host, _, _ := net.SplitHostPort(address)
			conn, err = (&tls.Dialer{Config: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", address)
		} else {
			conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
		}
		if err != nil {
			return nil, err
		}
		return audit.NewStream(conn, time.Now, frame), nil
	}
}

// stop ends it; what was not confirmed is sent again by whoever follows.
func (f *forwarding) stop() {
	if f != nil {
		f.end()
		f.done.Wait()
	}
}
