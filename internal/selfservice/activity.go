package selfservice

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/web"
)

// activityView is the view of activity.html.
type activityView struct {
	web.View
	Rows []activityRow
	// Older is the address of the page behind this one.
	Older string
}

// notMeView is the view of not-me.html.
type notMeView struct {
	web.View
	Password bool
}

// activityRow is a record of the trail in plain words.
type activityRow struct {
	Seq  int64
	Text string // id
	// Way is the id of the text of the factor that it names, "" for none.
	Way   string
	Place string
	Site  string
	At    time.Time
	// By says that somebody else did it.
	By bool
}

// activityNames are the events that a person is shown, each with the text
// "activity.NAME". Reads of pages and refusals of requests are not among them.
var activityNames = []audit.Name{
	audit.LoginSuccess, audit.LoginSuccessAfterFail, audit.ChallengePassed, audit.ChallengeFailed, audit.FactorEnrolled, audit.FactorChanged,
	audit.FactorRemoved, audit.FactorReset, audit.PasswordChange, audit.AccessChange, audit.UserUpdated, audit.UserCreated, audit.UserInvited,
	audit.TokenCreated, audit.TokenRevoked, audit.SessionExpired, audit.SessionLogout, audit.DeviceTrusted, audit.DeviceRevoked,
	audit.ActivityDisowned, audit.UserSuspended, audit.UserResumed, audit.PermissionsChanged, audit.OnBehalf,
}

// ofOneSignIn is how long after a sign-in its second factor is told with it.
const ofOneSignIn = 10 * time.Minute

// activityRows lists what has happened before a record, the newest first, and
// gives the record behind which the page after this one begins, 0 for none.
func (s *Site) activityRows(r *http.Request, at *visit, before int64, n int) ([]activityRow, int64, error) {
	found, err := s.Store.Events(r.Context(), audit.Query{Account: string(at.own.Account), Names: activityNames, Before: before, Limit: 2*n + 1})
	if err != nil {
		return nil, 0, s.unavailable(err)
	}
	proofs := proofsOfSignIns(found)
	var rows []activityRow
	for i, record := range found {
		e := record.Event
		if _, proved := proofs[i]; proved {
			continue // told with its second factor
		}
		if len(rows) == n {
			return rows, found[i-1].Seq, nil
		}
		row := activityRow{
			Seq: record.Seq, Text: "activity." + string(e.Name), Place: s.placeOf(e.Address), At: e.At,
			By: e.Actor != "" && e.Actor != e.Account,
		}
		if e.Factor != "" {
			row.Way = "with." + e.Factor
		}
		if slices.Contains(slices.Collect(maps.Values(proofs)), i) {
			row.Text = "activity.signed-in"
		}
		if signedInBy(e) && row.Way == "" {
			row.Way = "with.password"
		}
		if e.Site != s.Place.Origin {
			row.Site = e.Site
		}
		rows = append(rows, row)
	}
	return rows, 0, nil
}

func signedInBy(e audit.Event) bool {
	return e.Name == audit.LoginSuccess || e.Name == audit.LoginSuccessAfterFail
}

// proofsOfSignIns gives of each sign-in that came with a second factor the place
// of its proof: the first of the session, right after the sign-in. What is
// proved later, or after something was set up, was asked for by itself.
func proofsOfSignIns(found []audit.Record) map[int]int {
	proofs := map[int]int{}
	open := map[string]int{} // sign-ins whose sessions have proved nothing yet
	for i, record := range slices.Backward(found) {
		e := record.Event
		switch signIn, waits := open[e.Session]; {
		case signedInBy(e) && e.Session != "":
			open[e.Session] = i
		case waits && e.Name == audit.ChallengePassed && e.At.Sub(found[signIn].Event.At) < ofOneSignIn:
			proofs[signIn] = i
			delete(open, e.Session)
		case waits && (e.Name == audit.ChallengePassed || e.Name == audit.FactorEnrolled):
			delete(open, e.Session)
		}
	}
	return proofs
}

// activityPage is how many rows the page has.
const activityPage = 25

func (s *Site) activity(w http.ResponseWriter, r *http.Request, at *visit) error {
	if r.Method == http.MethodPost {
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"}
	}
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	rows, older, err := s.activityRows(r, at, max(0, before), activityPage)
	if err != nil {
		return err
	}
	view := &activityView{View: s.below(at), Rows: rows}
	if older > 0 {
		view.Older = Path + "/activity?before=" + strconv.FormatInt(older, 10)
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "activity", view)
}

// notMe is for somebody who finds that something on their account was not
// them: it ends their other sessions at once, without a proof, for whoever is
// signed in could do that one by one, and says what to do next.
func (s *Site) notMe(w http.ResponseWriter, r *http.Request, at *visit) error {
	if r.Method == http.MethodPost {
		about, _ := strconv.ParseInt(at.fields["record"], 10, 64)
		if err := s.Self.Disown(r.Context(), at.own, max(0, about)); err != nil {
			return s.told(err)
		}
		s.applied(at.own.Account)
		return web.Redirect(w, r, s.Web, s.Web.Path(Path+"/not-me"))
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "not-me", &notMeView{View: s.below(at), Password: at.record.HasPassword})
}
