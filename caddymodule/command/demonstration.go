package command

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/demo"
	"github.com/stepgate/stepgate/internal/people"
)

const (
	demoHost      = "localhost" // browsers take it for secure without TLS
	demoFirstPort = 8080
	demoLastPort  = 8180

	// maxSocketPath is what every system takes for a socket's path.
	maxSocketPath = 100
)

// DemoOptions is what the command line says.
type DemoOptions struct {
	Listen  string // HOST:PORT; empty for the first free port
	Data    string // folder that is kept; empty for one that is removed
	Command string // how the gateway's commands are called here
	Out     io.Writer
}

// demonstration is one run of the demo: what its Caddyfile and its
// instructions are written from.
type demonstration struct {
	URL      string
	Bind     string // address without port
	Port     string
	Folder   string
	Portal   string // address of the legacy portal
	Inbox    string // address of the page with texts and e-mails
	Accounts []demoAccount
	Command  string
	// Kept says that the folder stays.
	Kept bool
	// Exposed says that other machines can reach it.
	Exposed bool
}

// demoAccount is somebody to sign in as.
type demoAccount struct {
	people.NewAccount
	About string
}

// DemoCaddyfile is the template of the demonstration's configuration.
//
//go:embed demo.caddyfile
var DemoCaddyfile string

// RunDemo runs the demonstration until ctx ends, and then takes away what it
// made.
func RunDemo(ctx context.Context, o DemoOptions) (err error) {
	d := &demonstration{Command: o.Command, Kept: o.Data != "", Accounts: demoAccounts()}
	// The accounts take a while to make, and nobody else gets the port meanwhile.
	listener, err := d.settle(o.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	remove, err := d.makeFolder(o.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()

	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	ended, err := d.startPortal(background)
	if err != nil {
		return err
	}
	config, err := d.configure(ctx)
	if err != nil {
		return err
	}
	_ = listener.Close() // Caddy tells of a port that is still taken
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	if err = d.instruct(o.Out); err == nil {
		select {
		case <-ctx.Done():
		case err = <-ended:
		}
	}
	// The portal's event streams end with it, so that Caddy need not wait.
	stopBackground()
	return errors.Join(err, caddy.Stop())
}

// settle chooses where to listen, and what the site is called there. It holds
// the port for whoever is going to.
func (d *demonstration) settle(listen string) (listener net.Listener, err error) {
	ip := net.IPv4(127, 0, 0, 1)
	if listen == "" {
		listener, err = firstFreePort()
	} else {
		ip, listener, err = listenAt(listen)
	}
	if err != nil {
		return nil, err
	}
	d.Port = strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	d.Bind, d.Exposed = ip.String(), !ip.IsLoopback()
	name := demoHost
	if d.Exposed && !ip.IsUnspecified() {
		name = d.Bind
	}
	d.URL = "http://" + net.JoinHostPort(name, d.Port)
	return listener, nil
}

// listenAt listens where --listen says.
func listenAt(listen string) (net.IP, net.Listener, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, nil, usagef("--listen %s: expected HOST:PORT, such as 127.0.0.1:8080", listen)
	}
	if host == "" || host == demoHost {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return nil, nil, usagef("--listen %s: expected localhost or an IP address before the port", listen)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, nil, fmt.Errorf("--listen %s: %w", listen, err)
	}
	return ip, listener, nil
}

func firstFreePort() (net.Listener, error) {
	for port := demoFirstPort; port <= demoLastPort; port++ {
		if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return listener, nil
		}
	}
	return nil, fmt.Errorf("no port between %d and %d is free: name one with --listen", demoFirstPort, demoLastPort)
}

// makeFolder makes the folder that everything is in, and says how to take it
// away again.
func (d *demonstration) makeFolder(named string) (remove func() error, err error) {
	if named != "" {
		if d.Folder, err = filepath.Abs(named); err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
		if !hasRoomForSocket(d.Folder) {
			return nil, usagef("--data %s: the path is too long for the socket of the admin endpoint in it; name a shorter one", named)
		}
		if err := os.MkdirAll(d.Folder, 0o700); err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
		return func() error { return nil }, nil
	}
	const pattern = "stepgate-demo-*"
	in := os.TempDir()
	if !hasRoomForSocket(filepath.Join(in, pattern+"0123456789")) {
		in = "/tmp"
	}
	if d.Folder, err = os.MkdirTemp(in, pattern); err != nil {
		return nil, err
	}
	return func() error { return os.RemoveAll(d.Folder) }, nil
}

// hasRoomForSocket tells whether a system takes the path of the admin
// endpoint's socket in a folder.
func hasRoomForSocket(folder string) bool {
	return len(filepath.Join(folder, "admin.sock")) <= maxSocketPath
}

// startPortal starts the legacy application and the page of messages, each on
// a port of its own. The channel tells of the end of one.
func (d *demonstration) startPortal(ctx context.Context) (<-chan error, error) {
	portal, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	messages, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, portal.Close())
	}
	d.Portal, d.Inbox = portal.Addr().String(), messages.Addr().String()
	file := filepath.Join(d.Folder, "messages.jsonl")
	inbox := &http.Server{Handler: demo.Inbox(file, file), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = inbox.Close() })
	ended := make(chan error, 2)
	go func() { ended <- demo.Serve(ctx, portal) }()
	go func() {
		if err := inbox.Serve(messages); !errors.Is(err, http.ErrServerClosed) {
			ended <- err
		}
	}()
	return ended, nil
}

// configure writes the Caddyfile, makes the accounts and returns the
// configuration as Caddy loads it.
func (d *demonstration) configure(ctx context.Context) ([]byte, error) {
	var text strings.Builder
	if err := template.Must(template.New("Caddyfile").Parse(DemoCaddyfile)).Execute(&text, d); err != nil {
		return nil, err
	}
	file := filepath.Join(d.Folder, "Caddyfile")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	raw, err := adaptFile(file, "caddyfile")
	if err != nil {
		return nil, err
	}
	var config caddy.Config
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, err
	}
	loaded, err := module.Load(file, config.AppsRaw["stepgate"], nil)
	if err != nil {
		return nil, err
	}
	place, closeStore, err := loaded.Open(ctx, true)
	if err != nil {
		return nil, err
	}
	return raw, errors.Join(d.addAccounts(ctx, place.People), closeStore())
}

// demoAccounts are the people of the demonstration. Their numbers are of
// those that are kept free for stories.
func demoAccounts() []demoAccount {
	return []demoAccount{
		{people.NewAccount{Username: "joe", Name: "Joe Bloggs", Email: "joe@ashdown.example", Mobile: "+447700900609", Groups: []string{"staff"}},
			"case worker"},
		{people.NewAccount{Username: "ann", Name: "Ann Harker", Email: "ann@ashdown.example", Mobile: "+447700900610", Groups: []string{"staff", "admins"}, Role: account.RoleOwner},
			"administrator, in the group admins"},
	}
}

// addAccounts makes the accounts, each with a new password; in a folder that
// was kept they are there already and only get that.
func (d *demonstration) addAccounts(ctx context.Context, p *people.People) error {
	for i := range d.Accounts {
		a := &d.Accounts[i].NewAccount
		a.Password = account.Secret(demoPassword())
		_, err := p.AddAccount(ctx, people.Operator(), *a)
		if errors.Is(err, account.ErrTaken) {
			_, err = p.SetPassword(ctx, people.Operator(), people.Who{Username: a.Username}, a.Password, "")
		}
		if err != nil {
			return fmt.Errorf("add %s: %w", a.Username, err)
		}
	}
	return nil
}

// demoPassword has 60 random bits in a form that is easy to type.
func demoPassword() string {
	text := strings.ToLower(rand.Text())
	return strings.Join([]string{text[:4], text[4:8], text[8:12]}, "-")
}

// instruct prints where everything is and what to try.
func (d *demonstration) instruct(out io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	step := 0
	try := func(text string) { step++; line("%3d. %s", step, strings.ReplaceAll(text, "\n", "\n     ")) }

	line("\nThe portal of a county court, unchanged since 2004, with the gateway in front.\n")
	line("  Portal    %s", d.URL)
	line("  Messages  %s/inbox   where texts and e-mails appear", d.URL)
	for i, a := range d.Accounts {
		line("  %-8s  %s   password %s   (%s)", map[bool]string{true: "Accounts"}[i == 0], a.Username, a.Password.Reveal(), a.About)
	}
	line("  Policy    %s", filepath.Join(d.Folder, "Caddyfile"))
	if d.Exposed {
		line("\n  Other machines can reach this address: it is for a network that you trust.")
	}
	line("\nWhat to try")
	try("Open " + d.URL + "/about: the page is public, nobody asks.")
	try("Open " + d.URL + "/ and sign in as joe. The first page needs no more\nthan the password.")
	try("Choose \"Docket search\": cases need a second factor. joe has none yet, so\n" +
		"the gateway has him set one up. A text message appears at " + d.URL + "/inbox;\n" +
		"for an authenticator app the page shows a picture, and the key as text; a\n" +
		"security key or passkey works too, for browsers trust localhost.")
	try("Choose \"Payments\", then pay out a sum: that needs a code which is not older\nthan two minutes. Wait, try again, and you are asked again.")
	try("Choose \"Live status\" on the first page, wait two minutes and close the case.\n" +
		"That is a call of the page's script, so it gets 401 and the levels it lacks.")
	try("Choose \"Administration\" as joe: 403. Sign out at " + d.URL + "/.stepgate/sign-out\nand come back as ann, who is in the group admins.")
	config := " --config " + filepath.Join(d.Folder, "Caddyfile")
	try("Open " + d.URL + "/debug/vars: denied, whoever you are. The page shows a\n" +
		"reference; from another terminal it tells you which rule it was:\n" + d.Command + " audit show REFERENCE" + config)
	try("Open " + d.URL + "/echo: what the portal is told of you in each request.")
	try("While joe is signed in:\n" + d.Command + " user suspend joe" + config + "\nHis next click finds the door shut.")
	kept := "and removes " + d.Folder
	if d.Kept {
		kept = "and leaves " + d.Folder + " for the next time"
	}
	line("\nCtrl-C stops it all %s.\n", kept)
	_, err := io.WriteString(out, b.String())
	return err
}
