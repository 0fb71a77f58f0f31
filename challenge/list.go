package challenge

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// lists is the ceremony of codes of paper.
type lists struct{ *Site }

// listsPage follows a page that has shown codes: the button that goes on and
// the one that downloads them lead there.
const listsPage = "/codes"

// lister is the factor whose credential is a list of codes, or nil.
func (s lists) lister() factors.Lister {
	for _, f := range s.Factors.All() {
		if l, ok := f.(factors.Lister); ok {
			return l
		}
	}
	return nil
}

// firstList makes the account's backup codes along with its first second
// factor. They work from now on, whether or not the person stays to read the
// page to its end. No codes are made where there is a list already.
func (k *enrolling) firstList(r *http.Request) ([]string, error) {
	lister := lists{k.s}.lister()
	if lister == nil || !k.grant.first || !k.factor.Kind().Possession() {
		return nil, nil
	}
	held, err := k.s.holdingsOf(r, k.v)
	if err != nil || len(held.all[lister.Kind()]) > 0 {
		return nil, err
	}
	list := walk{s: k.s, v: k.v, c: k.c, factor: lister, page: "/enrol/" + string(lister.Kind()), purpose: "enrol"}
	codes, err := list.makeList(r, lister, grant{first: true}, "")
	if errors.Is(err, ceremony.ErrTransactionGone) {
		return nil, nil
	}
	if err != nil {
		return nil, k.s.unavailable(err)
	}
	return codes, nil
}

// makeList makes codes and keeps them in place of the account's earlier ones.
func (k *walk) makeList(r *http.Request, lister factors.Lister, g grant, once string) ([]string, error) {
	t, err := k.open(r.Context())
	if err != nil {
		return nil, err
	}
	credential, codes, err := lister.NewList(k.s.scope(r, k.v, k.purpose))
	if err != nil {
		return nil, err
	}
	enrolments{k.s}.bind(&credential, k.v, g, once, k.s.Now().UTC())
	_, err = enrolments{k.s}.enrol(r, k.v, ceremony.Enrolled{Transaction: t.ID, Credential: credential, Sole: true})
	return codes, err
}

// listStep makes new codes for somebody who has a second factor. The page
// asks first, for the old codes end.
func (s lists) listStep(lister factors.Lister) web.Handler {
	kind := lister.Kind()
	return func(w http.ResponseWriter, r *http.Request) error {
		at, err := s.ready(w, r)
		if at == nil {
			return err
		}
		v, c := at.visitor, at.continuation
		k := &enrolling{walk: walk{s: s.Site, v: v, c: c, factor: lister, page: "/enrol/" + string(kind), purpose: "enrol"}}
		held, err := s.holdingsOf(r, v)
		if err != nil {
			return err
		}
		if !held.second() || c.Kind == ceremony.Operate {
			return s.goTo(w, r, "/enrol", c)
		}
		if on, err := k.begin(w, r); err != nil || !on {
			return err
		}
		if r.Method != http.MethodPost {
			return s.showList(w, r, v, c, shownList{page: k.page})
		}
		codes, err := k.makeList(r, lister, k.grant, k.once)
		if errors.Is(err, ceremony.ErrTransactionGone) {
			return s.dispatch(w, r, v, c)
		}
		if err != nil {
			return s.unavailable(err)
		}
		return s.showList(w, r, v, c, shownList{page: k.page, codes: codes})
	}
}

// shownList is what the page of codes shows.
type shownList struct {
	page  string   // that makes the codes
	codes []string // nil where none are made yet
	first bool     // made along with the person's first second factor
}

// showList is the page of codes. It is the answer to a POST and the only time
// that they are shown: nobody keeps them (SP 800-63B-4 §3.1.2.2), so no other
// request can have them.
func (s lists) showList(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation, of shownList) error {
	sealed, err := c.Seal(s.Sealer, s.Place.Origin)
	if err != nil {
		return err
	}
	action := of.page
	if of.codes != nil {
		action += listsPage
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "list", &listView{
		View: s.view(w, r, v), Continuation: sealed, Action: action, Codes: of.codes, First: of.first,
	})
}

// afterList goes on from a page of codes, or gives the codes of that very
// page back as a file, for browsers without scripts.
func (s lists) afterList(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		fields, err := s.post(w, r, v)
		if err != nil {
			return err
		}
		if fields["action"] == "download" {
			return s.download(w, fields["codes"])
		}
	}
	return s.dispatch(w, r, v, s.continuation(r))
}

func (s lists) download(w http.ResponseWriter, posted string) error {
	codes := strings.Fields(posted)
	if lister := s.lister(); lister == nil || !lister.ReadList(codes) {
		return &web.Fail{Status: http.StatusBadRequest, Err: web.ErrBadForm}
	}
	web.Harden(w.Header(), s.Web)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="backup-codes.txt"`)
	_, err := io.WriteString(w, s.Web.Name+" "+s.Place.Origin+"\r\n\r\n"+strings.Join(codes, "\r\n")+"\r\n")
	return err
}

// enrolPages are the pages of enrolment by path below the prefix.
func (s lists) enrolPages(mux map[string]web.Handler, kind policy.Factor) {
	path := "/enrol/" + string(kind)
	if _, ok := s.Factors.Enroller(kind); ok {
		mux[path] = enrolments(s).enrolStep(kind)
		mux[path+listsPage] = s.afterList
	}
	if lister, ok := s.Factors.Find(kind).(factors.Lister); ok {
		mux[path] = s.listStep(lister)
		mux[path+listsPage] = s.afterList
	}
}
