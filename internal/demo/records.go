package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What the portal keeps is bounded; the oldest goes first.
const (
	maxNotes         = 200
	maxPayments      = 200
	maxNoteRunes     = 1000
	maxDocumentBytes = 64 << 20 // of all documents together
)

// Statuses of a case.
const (
	statusOpen   = "open"
	statusClosed = "closed"
)

type courtCase struct {
	ID     int
	Docket string
	Title  string
	Judge  string
	Filed  string
	Status string
}

type note struct {
	Case   int
	At     time.Time
	Author string
	Text   string
}

type document struct {
	Case   int
	Number int
	At     time.Time
	Author string
	Name   string
	Size   int
	SHA256 string
	data   []byte
}

type payment struct {
	Reference string
	At        time.Time
	Author    string
	Case      string
	Payee     string
	Pence     int64
}

// Amount is the sum in pounds, as it is printed.
func (p payment) Amount() string { return fmt.Sprintf("%d.%02d", p.Pence/100, p.Pence%100) }

type clerk struct {
	User string
	Name string
	Role string
}

// records is the portal's data. Its methods are safe for concurrent use and
// return copies.
type records struct {
	mu        sync.Mutex
	cases     []courtCase
	notes     []note
	documents []document
	payments  []payment
	clerks    []clerk
	numbers   int // of documents and payments handed out so far
}

func newRecords() *records {
	parties := []string{"Ashdown Mills", "Birch", "Carrow", "Dunmore Estates", "Eaves", "Fairleigh", "Greaves & Son"}
	others := []string{"Harte", "Ivers", "Jessop", "Kettle", "Lowe"}
	judges := []string{"Hon. P. Merrow", "Hon. S. Okafor", "Hon. R. Whitlock"}
	r := &records{clerks: []clerk{
		{"hwell", "Hannah Well", "Clerk of the court"},
		{"joe", "Joe Bloggs", "Case worker"},
		{"mdray", "Martin Dray", "Case worker"},
		{"npatel", "Nisha Patel", "Registrar"},
		{"temp04", "Temporary account 04", "Reception"},
	}}
	for i := range 42 {
		c := courtCase{
			ID:     1001 + i,
			Docket: fmt.Sprintf("CV-%d-%05d", 2004+i%3, 1001+i),
			Title:  parties[i%len(parties)] + " v. " + others[i%len(others)],
			Judge:  judges[i%len(judges)],
			Filed:  fmt.Sprintf("%02d/%02d/%d", 1+(i*5)%28, 1+(i*7)%12, 2004+i%3),
			Status: statusOpen,
		}
		if i%3 == 2 {
			c.Status = statusClosed
		}
		r.cases = append(r.cases, c)
	}
	return r
}

// search returns the cases whose docket or title contains words and whose
// status is status; empty means any.
func (r *records) search(words, status string) []courtCase {
	r.mu.Lock()
	defer r.mu.Unlock()
	words = strings.ToLower(words)
	var found []courtCase
	for _, c := range r.cases {
		if status != "" && c.Status != status {
			continue
		}
		if strings.Contains(strings.ToLower(c.Docket+" "+c.Title), words) {
			found = append(found, c)
		}
	}
	return found
}

// byID finds a case by the number in a path.
func (r *records) byID(id string) (courtCase, bool) {
	n, err := strconv.Atoi(id)
	if err != nil {
		return courtCase{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.cases, func(c courtCase) bool { return c.ID == n })
	if i < 0 {
		return courtCase{}, false
	}
	return r.cases[i], true
}

// close closes a case and says whether it was open until now.
func (r *records) close(id int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.cases {
		if r.cases[i].ID == id && r.cases[i].Status == statusOpen {
			r.cases[i].Status = statusClosed
			return true
		}
	}
	return false
}

func (r *records) addNote(n note) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = keepLast(append(r.notes, n), maxNotes)
}

// notesOf returns a case's notes, newest first.
func (r *records) notesOf(id int) []note {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []note
	for _, n := range slices.Backward(r.notes) {
		if n.Case == id {
			found = append(found, n)
		}
	}
	return found
}

// file keeps a document and returns it with its number, size and hash.
func (r *records) file(d document, data []byte) document {
	sum := sha256.Sum256(data)
	d.Size, d.SHA256, d.data = len(data), hex.EncodeToString(sum[:]), data
	r.mu.Lock()
	defer r.mu.Unlock()
	r.numbers++
	d.Number = r.numbers
	r.documents = append(r.documents, d)
	total := 0
	for _, kept := range r.documents {
		total += kept.Size
	}
	for total > maxDocumentBytes {
		total -= r.documents[0].Size
		r.documents = slices.Delete(r.documents, 0, 1)
	}
	return d
}

// documentsOf returns a case's documents in the order they were filed.
func (r *records) documentsOf(id int) []document {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []document
	for _, d := range r.documents {
		if d.Case == id {
			found = append(found, d)
		}
	}
	return found
}

func (r *records) addPayment(p payment) payment {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.numbers++
	p.Reference = fmt.Sprintf("PAY-%05d", r.numbers)
	r.payments = keepLast(append(r.payments, p), maxPayments)
	return p
}

func (r *records) listPayments() []payment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.payments)
}

func (r *records) listClerks() []clerk {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.clerks)
}

// deleteClerk says whether there was such a user.
func (r *records) deleteClerk(user string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.clerks)
	r.clerks = slices.DeleteFunc(r.clerks, func(c clerk) bool { return c.User == user })
	return len(r.clerks) < before
}

// keepLast drops from the front what is more than n.
func keepLast[T any](list []T, n int) []T {
	return slices.Delete(list, 0, max(0, len(list)-n))
}
