package gate

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/telemetry"
	"github.com/stepgate/stepgate/internal/watched"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// maxFormBytes is how much of a body the policy may look at.
const maxFormBytes = 64 << 10

// passage is what one request needs on its way through the gate. Passages are
// used again: a plain request allocates none.
type passage struct {
	request policy.Request
	handler *Handler
	http    *http.Request
	next    Next // what it passes through
	visitor visitor
	sent    target.Readings // what the client sent
	others  [2]target.Readings
	also    [2]*target.Readings
	claimed []string
	// unclaimed is set where no header claims another method, so that none is
	// looked for again.
	unclaimed bool
	traced    bool      // set where a trace is recorded
	now       time.Time // of the decision; zero where it is to be asked anew
	// answer is set once this is made ready for the app, and weld as well where
	// a login of the app is watched. They are not used again.
	answer  *Answer
	weld    *watched.Answer
	forward string // what the upstream is sent where it is not what came
	body    peeked
	shake   *Handshake       // set where this asks for a WebSocket
	kept    *kept.Request    // set where this is one that was kept
	keptErr error            // why it could not be redeemed
	token   string           // what a program sent with it
	program bool             // set where a token was sent, readable or not
	seen    legacyform.Seen  // what the app's login form sees of it, once it was asked
	sight   legacyform.Sight // what it is to that form
	login   bool             // set where this is a page of the app's own login
	asked   bool             // set where the gateway answers the app's own question
	leave   *watched.Leaving // set where this is the app's own sign-out
}

var passages = sync.Pool{New: func() any { return new(passage) }}

func (p *passage) release() {
	clear(p.claimed)
	*p = passage{claimed: p.claimed[:0]}
	passages.Put(p)
}

// errNotOrigin is a target that is no path: absolute form, authority form.
var errNotOrigin = errors.New("not in origin form")

// read reads the target that the client sent, the one that an earlier handler
// made of it, and the one that the upstream will be sent, where they differ.
func (p *passage) read(h *Handler, r *http.Request) error {
	var err error
	if p.shake, err = ReadHandshake(r); err != nil {
		return err
	}
	sent := r.RequestURI
	if original := h.Server.Original(r); original != "" {
		sent = original
	}
	if sent == "*" && r.Method == http.MethodOptions {
		sent = "/"
	}
	if p.sent, err = h.Reader.Read(sent); err != nil {
		return err
	}
	rewritten := r.RequestURI
	if rewritten == "*" {
		rewritten = sent
	}
	if p.forward, err = forwarded(r, rewritten); err != nil {
		return err
	}
	n := 0
	for _, other := range [...]string{rewritten, p.forward} {
		if other == sent || n == 1 && other == rewritten {
			continue
		}
		if p.others[n], err = h.Reader.Read(other); err != nil {
			return err
		}
		p.also[n] = &p.others[n]
		n++
	}
	p.request.Also = p.also[:n]
	return nil
}

// forwarded is the target that Go's client will send for r, and makes that
// the client's own bytes but for those which it cannot send raw: these arrive
// percent-encoded. Left alone, net/url would encode the whole path anew and
// lose an encoded slash.
func forwarded(r *http.Request, raw string) (string, error) {
	path, _, _ := strings.Cut(raw, "?")
	if path == r.URL.Path && r.URL.RawPath == "" && PlainForURL(path) {
		return raw, nil
	}
	if escaped := r.URL.EscapedPath(); escaped == path {
		return raw, nil
	} else if unescaped, err := url.PathUnescape(path); err != nil || unescaped != r.URL.Path {
		// A rewrite that changed URL and not RequestURI: what is sent is
		// what URL says.
		return r.URL.RequestURI(), nil
	}
	r.URL.RawPath = encodeForURL(path)
	if r.URL.EscapedPath() != r.URL.RawPath {
		return "", errNotOrigin
	}
	return r.URL.RequestURI(), nil
}

// PlainForURL tells whether net/url writes path as it is.
func PlainForURL(path string) bool {
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("/-_.~$&+,:;=@", c) >= 0:
		default:
			return false
		}
	}
	return true
}

const upperHex = "0123456789ABCDEF"

// encodeForURL encodes the bytes that net/url accepts only encoded, and no
// others.
func encodeForURL(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if PlainForURL(path[i:i+1]) || strings.IndexByte("!'()*[]%", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

// ownPage finds the page of the gateway that a request is for. A target of
// which only some readings lie below the prefix is malformed.
func (p *passage) ownPage(h *Handler, r *http.Request) (http.Handler, error) {
	if p.sent.AnyBelow(h.Prefix) {
		if !p.sent.PlainlyBelow(h.Prefix) {
			return nil, errHalfOwn
		}
		return ownPages{h}.ownHandler(p.sent.RawPath()), nil
	}
	for _, other := range p.request.Also {
		if other.AnyBelow(h.Prefix) {
			return nil, errHalfOwn
		}
	}
	if p.sent.RawPath() == changePasswordPath {
		return http.HandlerFunc(ownPages{h}.changePassword), nil
	}
	return nil, nil
}

var errHalfOwn = errors.New("half below the gateway's own pages")

// facts gathers what the policy asks about the request.
func (p *passage) facts(h *Handler, r *http.Request, v visitor) *policy.Request {
	q := &p.request
	p.handler, p.http, p.visitor = h, r, v
	q.Method = r.Method
	q.Target = &p.sent
	q.Context = p
	q.Claimed = p.claims(r.Header)
	if r.Body != nil && r.Body != http.NoBody {
		q.Form = func() (string, []byte, bool) { return p.form(r) }
	}
	if p.now.IsZero() {
		p.now = time.Now()
	}
	q.Now = p.now
	v.describe(h, q)
	q.Country = h.Server.Country(r)
	return q
}

// HTTP implements judged.
func (p *passage) HTTP() *http.Request { return p.http }

// Identity implements judged.
func (p *passage) Identity(placeholder string) (any, bool) {
	if p.visitor.entry == nil {
		return nil, false
	}
	who, err := identities{p.handler}.identify(p.visitor, p.request.Now)
	if err != nil {
		return nil, false
	}
	return who.provide(placeholder)
}

// judge decides, and where the answer turns on this very request it names the
// request first: that may read the body, so that it is not done for others.
func (p *passage) judge(h *Handler, r *http.Request, v visitor) policy.Decision {
	var step telemetry.Step
	if p.traced {
		_, step = telemetry.Begin(r.Context(), "stepgate judge")
	}
	q := p.facts(h, r, v)
	d := h.Policy.Decide(q)
	if d.Needed&h.Policy.OnceLevels() != 0 {
		q.Once = p.once(r)
		d = h.Policy.Decide(q)
	}
	if step.Recorded() {
		step.Say("stepgate.outcome", d.Outcome.String())
		step.Say("stepgate.levels", trail{h}.tally(d.Needed).levels)
	}
	step.End(nil)
	return d
}

// claims lists the methods that headers claim.
func (p *passage) claims(header http.Header) []string {
	if !p.unclaimed {
		for name, values := range header {
			if MethodOverrides.Has(name) {
				p.claimed = append(p.claimed, values...)
			}
		}
	}
	if p.shake.Extended() {
		p.claimed = append(p.claimed, http.MethodConnect) // what came; the request is what is sent
	}
	return p.claimed
}

// peeked is the beginning of a body, read ahead and put back.
type peeked struct {
	done  bool
	bytes []byte
	whole bool
}

// peek reads the first 64 KiB of the body and puts them back before the rest.
func (p *passage) peek(r *http.Request) peeked {
	if p.body.done {
		return p.body
	}
	p.body.done = true
	if r.Body == nil || r.Body == http.NoBody {
		p.body.whole = true
		return p.body
	}
	var read bytes.Buffer
	n, err := io.CopyN(&read, r.Body, maxFormBytes+1)
	p.body.whole = errors.Is(err, io.EOF) && n <= maxFormBytes
	p.body.bytes = read.Bytes()
	rest := r.Body
	r.Body = &rejoined{Reader: io.MultiReader(bytes.NewReader(p.body.bytes), rest), Closer: rest}
	return p.body
}

// rejoined is a body whose beginning was read ahead.
type rejoined struct {
	io.Reader
	io.Closer
}

// form gives the policy a form's bytes. A body that is no form has no fields.
func (p *passage) form(r *http.Request) (contentType string, body []byte, ok bool) {
	contentType = strings.Join(r.Header["Content-Type"], ", ")
	if !target.MayBeForm(contentType) {
		return contentType, nil, true
	}
	return p.seenBody(r, contentType)
}

// textual gives a body that is a form, JSON or text, and of any other, which
// may go on for long, nothing.
func (p *passage) textual(r *http.Request) (contentType string, body []byte, ok bool) {
	contentType = strings.Join(r.Header["Content-Type"], ", ")
	kind := strings.ToLower(contentType)
	if !target.MayBeForm(contentType) && !strings.Contains(kind, "json") && !strings.Contains(kind, "text") {
		return contentType, nil, true
	}
	return p.seenBody(r, contentType)
}

func (p *passage) seenBody(r *http.Request, contentType string) (_ string, body []byte, ok bool) {
	read := p.peek(r)
	return contentType, read.bytes[:min(len(read.bytes), maxFormBytes)], read.whole && strings.Join(r.Header["Content-Encoding"], "") == ""
}
