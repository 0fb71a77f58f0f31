package demo

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

func (p *portal) listUsers(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, http.StatusOK, "admin", "Administration", p.records.listClerks())
}

func (p *portal) deleteUser(w http.ResponseWriter, r *http.Request) {
	if !p.readForm(w, r) {
		return
	}
	if !p.records.deleteClerk(r.PostForm.Get("user")) {
		p.say(w, r, http.StatusNotFound, "No such user", "There is no such user of the portal.")
		return
	}
	http.Redirect(w, r, "/admin/", http.StatusFound)
}

func (p *portal) listPayments(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, http.StatusOK, "payments", "Payments", p.records.listPayments())
}

func (p *portal) paymentForm(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, http.StatusOK, "payment", "Pay out a sum", r.URL.Query().Get("case"))
}

func (p *portal) pay(w http.ResponseWriter, r *http.Request) {
	if !p.readForm(w, r) {
		return
	}
	pence, ok := parseAmount(r.PostForm.Get("amount"))
	payee := strings.TrimSpace(r.PostForm.Get("payee"))
	c, found := p.records.byID(r.PostForm.Get("case"))
	if !ok || !found || payee == "" || len(payee) > 200 {
		p.say(w, r, http.StatusBadRequest, "Payment not made",
			"Please give a case number, a payee, and an amount such as 120.50.")
		return
	}
	p.records.addPayment(payment{
		At: p.now().UTC(), Author: visitorOf(r).author(), Case: strconv.Itoa(c.ID), Payee: payee, Pence: pence,
	})
	http.Redirect(w, r, "/payments", http.StatusFound)
}

var amountForm = regexp.MustCompile(`^([0-9]{1,7})(?:\.([0-9]{2}))?$`)

// parseAmount reads pounds with or without pence. Nothing is not a payment.
func parseAmount(s string) (pence int64, ok bool) {
	m := amountForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, false
	}
	pounds, _ := strconv.ParseInt(m[1], 10, 64)
	rest, _ := strconv.ParseInt("0"+m[2], 10, 64)
	pence = pounds*100 + rest
	return pence, pence > 0
}
