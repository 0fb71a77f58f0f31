package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"github.com/stepgate/stepgate/factors/delivery"
)

// TLS says how a connection is encrypted.
type TLS string

// The ways. The empty one is StartTLS, or for a server on the loopback
// whatever it offers.
const (
	StartTLS TLS = "starttls"
	Implicit TLS = "implicit"
	// None is for servers on the loopback only.
	None TLS = "none-on-loopback"
)

// timeout bounds one conversation.
const timeout = 15 * time.Second

// Options of a sender.
type Options struct {
	// Server is HOST:PORT. Needed.
	Server string
	// From is what every message is from: an address, perhaps with a name
	// ("The Portal <noreply@portal.example.gov>"). Needed.
	From string
	// Username and Password sign in at the server; empty: without.
	Username, Password string
	// TLS is the way of encryption.
	TLS TLS
	// Roots verify the server's certificate; nil are the system's.
	Roots *x509.CertPool
	// HELO is how we call ourselves to the server: a name that it can look up.
	// Empty is what Introduce was given, else the domain of From.
	HELO string
	// Now is the clock of the Date header; nil is the system's.
	Now func() time.Time
}

// Sender hands over e-mail, one connection a message. It is safe for
// concurrent use. Get one from New.
type Sender struct {
	o        Options
	host     string
	port     int
	loopback bool
	from     *mail.Address
	name     atomic.Pointer[string] // given by Introduce
}

// New checks the options. It opens nothing.
func New(o Options) (*Sender, error) {
	s := &Sender{o: o}
	host, port, err := net.SplitHostPort(o.Server)
	if err == nil {
		s.port, err = strconv.Atoi(port)
	}
	if err != nil || host == "" || s.port < 1 || s.port > 65535 {
		return nil, fmt.Errorf("%q: expected host and port of a mail server, such as mail.example.gov:587", o.Server)
	}
	s.host, s.loopback = host, delivery.Loopback(host)
	if s.from, err = mail.ParseAddress(o.From); err == nil {
		s.from.Address, err = onTheWire(s.from.Address)
	}
	if err != nil {
		return nil, fmt.Errorf("from %q: expected an e-mail address, such as noreply@portal.example.gov", o.From)
	}
	switch {
	case (o.Username == "") != (o.Password == ""):
		return nil, errors.New("username and password go together; give both, or neither for a server that wants none")
	case o.TLS == None && !s.loopback:
		return nil, fmt.Errorf("tls %s: %s is not on this machine's loopback; codes and the password would cross the network in the clear", None, host)
	case o.HELO != "" && !heloName(o.HELO):
		return nil, fmt.Errorf("helo %q: expected the full name of this machine, such as portal.example.gov, or an address such as [192.0.2.1]", o.HELO)
	case o.TLS != "" && o.TLS != StartTLS && o.TLS != Implicit && o.TLS != None:
		return nil, fmt.Errorf("tls %q: expected %s, %s or %s", o.TLS, StartTLS, Implicit, None)
	}
	if s.o.Now == nil {
		s.o.Now = time.Now
	}
	return s, nil
}

// Introduce tells the sender the host of the site that it sends for: its name
// to the server, where the options have none. It is safe at any time.
func (s *Sender) Introduce(host string) {
	if addr, err := netip.ParseAddr(host); err == nil {
		host = "[" + addr.String() + "]" // RFC 5321 §4.1.3
		if addr.Is6() {
			host = "[IPv6:" + addr.String() + "]"
		}
	} else if host, err = idna.Lookup.ToASCII(host); err != nil {
		return
	}
	if heloName(host) {
		s.name.Store(&host)
	}
}

// helo is the name for EHLO (RFC 5321 §4.1.1.1): a bare hostname, which a
// machine calls itself by, is refused by many.
func (s *Sender) helo() string {
	if s.o.HELO != "" {
		return s.o.HELO
	}
	if name := s.name.Load(); name != nil {
		return *name
	}
	return domainOf(s.from.Address)
}

func heloName(name string) bool {
	return name != "" && len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// onTheWire is an address with its domain in A-labels (RFC 5890 §2.3.2.1),
// which every server takes.
func onTheWire(address string) (string, error) {
	domain := domainOf(address)
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(address, domain) + ascii, nil
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// Send implements delivery.Sender with one conversation.
func (s *Sender) Send(ctx context.Context, m delivery.Message) error {
	if m.Channel != delivery.Email {
		return fmt.Errorf("%w: smtp sends e-mail only", delivery.ErrPermanent)
	}
	to, err := onTheWire(m.To)
	if err != nil {
		return fmt.Errorf("%w: smtp: no domain of that name can be", delivery.ErrRefused)
	}
	m.To = to
	letter, err := s.letter(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// The library closes neither a line whose greeting failed nor one whose
	// context has ended, so the line is ours.
	line, err := s.dial(ctx)
	if err != nil {
		return notBegun(err)
	}
	defer line.Close()
	defer context.AfterFunc(ctx, func() { line.Close() })()
	client, err := gomail.NewClient(s.host, append(s.settings(), gomail.WithDialContextFunc(
		func(context.Context, string, string) (net.Conn, error) { return line, nil }))...)
	if err != nil {
		return fmt.Errorf("%w: smtp: settings", delivery.ErrPermanent)
	}
	conversation, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return notBegun(err)
	}
	defer client.CloseWithSMTPClient(conversation) // accepted or not has been said
	// RFC 6531 §3.4: only mail that needs it asks for it.
	international := !isASCII(m.To) || !isASCII(s.from.Address)
	if offered, _ := conversation.Extension("SMTPUTF8"); international && !offered {
		return fmt.Errorf("%w: smtp: the mail server takes no letters beyond ASCII before the @ (it offers no SMTPUTF8)", delivery.ErrRefused)
	}
	conversation.SkipSMTPUTF8(!international)
	return outcome(client.SendWithSMTPClient(conversation, letter), m.To)
}

func (s *Sender) dial(ctx context.Context) (net.Conn, error) {
	if s.o.TLS == Implicit {
		d := tls.Dialer{Config: s.tlsConfig()}
		return d.DialContext(ctx, "tcp", s.o.Server)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.o.Server)
}

func (s *Sender) tlsConfig() *tls.Config {
	return &tls.Config{
		ServerName: s.host, RootCAs: s.o.Roots, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: s.loopback && s.o.TLS == "",
	}
}

func (s *Sender) settings() []gomail.Option {
	policy := gomail.TLSMandatory
	plain, login := gomail.SMTPAuthPlain, gomail.SMTPAuthLogin
	switch {
	case s.o.TLS == Implicit:
		policy = gomail.NoTLS // the line is encrypted already
	case s.o.TLS == None:
		policy = gomail.NoTLS
		plain, login = gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc
	case s.o.TLS == "" && s.loopback:
		policy = gomail.TLSOpportunistic
		plain, login = gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc
	}
	settings := []gomail.Option{
		gomail.WithHELO(s.helo()), gomail.WithPort(s.port), gomail.WithTimeout(timeout), gomail.WithTLSPolicy(policy), gomail.WithTLSConfig(s.tlsConfig()),
	}
	if s.o.Username != "" {
		settings = append(settings, gomail.WithUsername(s.o.Username), gomail.WithPassword(s.o.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, plain, login))
	}
	return settings
}

// letter is the message in RFC 5322's form. Its Message-ID is the same each
// time it is tried, so that a mailbox may see that two are one.
func (s *Sender) letter(m delivery.Message) (*gomail.Msg, error) {
	letter := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := letter.From(s.from.String()); err != nil {
		return nil, fmt.Errorf("%w: smtp: from", delivery.ErrPermanent)
	}
	if err := letter.To(m.To); err != nil {
		return nil, fmt.Errorf("%w: smtp: not an address", delivery.ErrRefused)
	}
	letter.Subject(m.Subject)
	letter.SetDateWithValue(s.o.Now())
	letter.SetMessageIDWithValue(m.ID + "@" + domainOf(s.from.Address))
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5
	letter.SetBodyString(gomail.TypeTextPlain, m.Body)
	return letter, nil
}

func domainOf(address string) string {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return address[i+1:]
		}
	}
	return address
}

// notBegun is an error before any message was spoken of. A server that does
// not take our password will not take it later either.
func notBegun(err error) error {
	class := delivery.ErrTemporary
	if said := (*textproto.Error)(nil); errors.As(err, &said) {
		if said.Code/100 == 5 {
			class = delivery.ErrPermanent
		}
		return fmt.Errorf("%w: smtp: greeting or sign-in: status %d %s", class, said.Code, redact(said.Msg, ""))
	}
	return fmt.Errorf("%w: smtp: %w", class, err)
}

// outcome reads what became of a message to an address.
func outcome(err error, to string) error {
	failed := (*gomail.SendError)(nil)
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &failed):
		return errors.New("smtp: the conversation broke")
	case failed.Reason == gomail.ErrSMTPReset: // which is said after the message was taken
		return nil
	}
	said := answerOf(failed, to)
	class := classOf(failed.Reason, said)
	if class == nil {
		return fmt.Errorf("smtp: %s: %s", failed.Reason, said)
	}
	return fmt.Errorf("%w: smtp: %s: %s", class, failed.Reason, said)
}

// answer is what a server said.
type answer struct {
	status int
	// enhanced is the code of RFC 3463 ("5.1.1"), where there is one.
	enhanced string
	// text is redacted.
	text string
}

func (a answer) String() string {
	return strings.Join(strings.Fields(fmt.Sprintf("status %d %s %s", a.status, a.enhanced, a.text)), " ")
}

// said finds the server's words in the library's error.
var said = regexp.MustCompile(`(?s)\b[45]\d\d[ -]"?(?:([245]\.\d{1,3}\.\d{1,3})\b)?(.*?)"?(?:, affected |$)`)

func answerOf(failed *gomail.SendError, to string) answer {
	a := answer{status: failed.ErrorCode()}
	if found := said.FindStringSubmatch(failed.Error()); found != nil {
		a.enhanced, a.text = found[1], redact(found[2], to)
	}
	return a
}

var (
	mailbox  = regexp.MustCompile(`[^\s<>()\[\],;:"']+@[^\s<>()\[\],;:"']+`)
	isSecret = regexp.MustCompile(`[A-Za-z0-9+/=_-]{40,}|\d{6,}`)
)

// maxSaid bounds what is repeated of an answer, in runes.
const maxSaid = 200

// redact is a server's text without addresses, which it likes to repeat, and
// without what could be a code or a password.
func redact(text, to string) string {
	if local, _, whole := strings.Cut(to, "@"); whole && len(local) > 2 {
		text = strings.ReplaceAll(strings.ReplaceAll(text, to, "…"), local, "…")
	}
	text = isSecret.ReplaceAllString(mailbox.ReplaceAllString(text, "…"), "…")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	runes := []rune(strings.TrimSpace(text))
	return string(runes[:min(len(runes), maxSaid)])
}

// ofSender are the codes of RFC 3463 §3.2 that are about who sends.
var ofSender = []string{"5.1.7", "5.1.8"}

// classOf is nil where the line broke after the message may have been taken.
// Only a code that is about the address (RFC 3463 §3.2) blames it: relays
// refuse recipients for what they think of us, too.
func classOf(step gomail.SendErrReason, a answer) error {
	switch {
	case a.status/100 == 4:
		return delivery.ErrTemporary
	case a.status/100 == 5 && step == gomail.ErrSMTPRcptTo && strings.HasPrefix(a.enhanced, "5.1.") && !slices.Contains(ofSender, a.enhanced):
		return delivery.ErrRefused
	case a.status/100 == 5:
		return delivery.ErrPermanent
	case step == gomail.ErrSMTPDataClose, step == gomail.ErrAmbiguous:
		return nil
	default:
		return delivery.ErrTemporary
	}
}
