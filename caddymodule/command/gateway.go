package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/operation"
)

// How long a command waits: for a gateway to say that it is there, and for it
// to do what was asked.
const (
	knockTimeout   = 3 * time.Second
	knockPause     = 50 * time.Millisecond
	commandTimeout = 5 * time.Minute
)

// errNotRunning says that Caddy runs, and the gateway in it does not.
var errNotRunning = errors.New("the gateway is not running")

// desk is where a command is served: the running gateway, or the store that
// the configuration names. It stays open for as long as the command runs.
type desk struct {
	config *Configuration
	// gateway is nil where none answers for this store.
	gateway *gateway
	// direct is opened at the first operation without a gateway.
	direct *operation.Place
	close  func() error
	notes  io.Writer
}

// openDesk reads the configuration and looks for the gateway that runs it.
func openDesk(cmd *cobra.Command) (*desk, error) {
	config, err := loadConfiguration(cmd)
	if err != nil {
		return nil, err
	}
	d := &desk{config: config, notes: cmd.ErrOrStderr()}
	if config.admin == "" {
		return d, nil
	}
	g, err := newGateway(config.admin, config.Store)
	if err != nil {
		return nil, err
	}
	if g.answers(cmd.Context()) {
		d.gateway = g
	}
	return d, nil
}

// atDesk opens a desk for the time of do.
func atDesk(cmd *cobra.Command, do func(*desk) error) error {
	d, err := openDesk(cmd)
	if err != nil {
		return err
	}
	err = do(d)
	if d.close != nil {
		err = errors.Join(err, d.close())
	}
	return err
}

// ask has an operation done, with typed input and output.
func ask[In, Out any](ctx context.Context, d *desk, op operation.Of[In, Out], in In) (Out, error) {
	var out Out
	input, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("write %s: %w", op.Name, err)
	}
	output, err := d.perform(ctx, op.Name, op.MayCreate, input)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(output, &out); err != nil {
		return out, fmt.Errorf("read the answer to %s: %w", op.Name, err)
	}
	return out, nil
}

func (d *desk) perform(ctx context.Context, name string, mayCreate bool, input json.RawMessage) (json.RawMessage, error) {
	output, err := d.route(ctx, name, mayCreate, input)
	var a *operation.Answer
	if errors.As(err, &a) && a.Kind == operation.Invalid {
		return nil, usagef("%s", a.Text)
	}
	return output, err
}

func (d *desk) route(ctx context.Context, name string, mayCreate bool, input json.RawMessage) (json.RawMessage, error) {
	if d.gateway != nil {
		return d.gateway.perform(ctx, name, input)
	}
	if d.direct == nil {
		if err := d.openDirect(ctx, mayCreate); err != nil {
			return nil, err
		}
	}
	return operation.Perform(ctx, *d.direct, name, input)
}

// openDirect opens the store without a gateway, and says so.
func (d *desk) openDirect(ctx context.Context, mayCreate bool) error {
	place, closeStore, err := d.config.Open(ctx, mayCreate)
	if err != nil {
		return err
	}
	d.direct, d.close = &place, closeStore
	why := "no gateway with this store answers at " + d.config.admin
	if d.config.admin == "" {
		why = "the configuration has no admin endpoint"
	}
	fmt.Fprintf(d.notes, "Note: %s; using the store itself: %s\n", why, d.config.Store)
	return nil
}

// gateway is a running gateway's admin endpoint.
type gateway struct {
	client *http.Client
	// url is the endpoint's, with a stand-in host for unix sockets; origin is
	// what Caddy's origin check expects, empty for unix sockets.
	url    string
	origin string
	store  string
}

// newGateway understands addresses as Caddy's `admin` option has them.
func newGateway(address, store string) (*gateway, error) {
	parsed, err := caddy.ParseNetworkAddress(address)
	if err != nil || parsed.PortRangeSize() > 1 {
		return nil, fmt.Errorf("admin %s: not an address that commands can use", address)
	}
	g := &gateway{store: store, url: "http://127.0.0.1" + operation.Path}
	dial := parsed.JoinHostPort(0)
	if parsed.IsUnixNetwork() {
		dial, _, _ = strings.Cut(parsed.Host, "|") // the socket's permissions
	} else {
		g.origin = "http://" + dial
		g.url = g.origin + operation.Path
	}
	g.client = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, parsed.Network, dial)
		},
	}}
	return g, nil
}

// answers tells whether a gateway runs there that uses the same store.
// Nothing else is sent to whoever listens there before that is known. Caddy
// opens its endpoint before it starts the gateway, so a gateway that is not
// running yet gets a moment.
func (g *gateway) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	for {
		response, err := g.send(ctx, operation.Request{Store: g.store})
		if !errors.Is(err, errNotRunning) {
			return err == nil && response.Error == nil && response.Store == g.store
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(knockPause):
		}
	}
}

func (g *gateway) perform(ctx context.Context, name string, input json.RawMessage) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	response, err := g.send(ctx, operation.Request{Operation: name, Store: g.store, Input: input})
	if err != nil {
		return nil, fmt.Errorf("ask the running gateway: %w", err)
	}
	if response.Error != nil {
		return nil, response.Error
	}
	return response.Output, nil
}

func (g *gateway) send(ctx context.Context, request operation.Request) (operation.Response, error) {
	var response operation.Response
	body, err := json.Marshal(request)
	if err != nil {
		return response, err
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(body))
	if err != nil {
		return response, err
	}
	post.Header.Set("Content-Type", "application/json")
	if g.origin != "" {
		post.Header.Set("Origin", g.origin)
	}
	got, err := g.client.Do(post)
	if err != nil {
		return response, err
	}
	defer got.Body.Close()
	if got.StatusCode == http.StatusServiceUnavailable {
		return response, errNotRunning
	}
	if got.StatusCode != http.StatusOK {
		return response, fmt.Errorf("the admin endpoint answered %s", got.Status)
	}
	return response, json.NewDecoder(io.LimitReader(got.Body, operation.MaxBytes)).Decode(&response)
}
