package ceremony

import (
	"net/http"

	"github.com/stepgate/stepgate/internal/session"
)

// Operation is something that is done to an account and that wants a
// second-factor proof made for it alone (contract, section 7): a credential
// removed, an address changed, a key registered for somebody else.
type Operation struct {
	// Once names it, and what it is done to, within the session that does it:
	// "remove-credential ID". The proof is bound to it and opens nothing else.
	// A request that is interrupted is named without a blank, so that a name
	// with one in it is never a request's.
	Once string
	// Text is the id of the text, in the catalogue of package challenge, that
	// names it on the pages of its proof.
	Text string
	// Page is where the browser comes back to with the proof: the path and
	// query of a page of ours, its prefix included.
	Page string
}

// Authority is the port by which pages of accounts and of administrators ask
// for a proof. They may not import the ceremonies; these come back to them by
// address.
//
// A page of an operation asks Authorised when it is shown, so that nobody
// fills in a form in vain, and Spend when its form is posted, after the form's
// token was checked and what it says was found right, and before anything is
// done:
//
//	func (p *Page) remove(w http.ResponseWriter, r *http.Request) error {
//		// … find the visitor v, and the credential that the address names
//		o := ceremony.Operation{
//			Once: "remove-credential " + id, Text: "operation.remove.totp", Page: p.Web.Path("/account/remove?credential=" + id),
//		}
//		if r.Method != http.MethodPost {
//			if on, err := p.Authority.Authorised(w, r, v, o); err != nil || !on {
//				return err
//			}
//			return p.show(w, r, v)
//		}
//		// … check the form's token
//		if on, err := p.Authority.Spend(w, r, v, o); err != nil || !on {
//			return err
//		}
//		return p.Self.Remove(r.Context(), …)
//	}
//
// Where it says false without an error it has answered the request: the
// browser is on its way to the sign-in, or to the challenge, and comes back to
// Page with a GET. What a form said is then lost, so that a page that posts
// much puts it into Page's query or asks again. Errors are for the page's
// error handler as they are.
type Authority interface {
	// Authorised tells whether v has proved that it may do o, within the last
	// TransactionTTL, and has not done it since. v is nil for nobody.
	Authorised(w http.ResponseWriter, r *http.Request, v *session.Entry, o Operation) (bool, error)
	// Spend uses the proof up: of any number of callers, on all nodes, one
	// gets true. If doing it then fails, a new proof is asked for.
	Spend(w http.ResponseWriter, r *http.Request, v *session.Entry, o Operation) (bool, error)
}
