package session

import (
	"slices"
	"strings"
	"sync"
)

const (
	// maxWords is how many texts, and how many lists, are known at once; when
	// there are more, all are learnt anew. longestWord is how long one may be.
	maxWords    = 4096
	longestWord = 512
)

// words have one copy of what many sessions say alike: their site, their
// source, their browser, their groups. Safe for concurrent use.
type words struct {
	mu    sync.Mutex
	texts map[string]string
	lists map[string][]string
}

func newWords() *words { return &words{texts: map[string]string{}, lists: map[string][]string{}} }

// compact has an entry that nobody else knows yet hold its texts in little
// memory: what others say too once for all, the rest in one piece, without
// what a driver or a Cookie line had around it.
func (w *words) compact(e *Entry) {
	s, o, a := &e.Session, &e.Owner, &e.Owner.Account
	s.Proofs = slices.Clone(s.Proofs) // whose they were, may read them
	w.mu.Lock()
	for _, text := range []*string{
		&s.Site, &s.Source, &s.Device, &s.Risk, &s.UserAgent,
		&a.Source, &a.Organisation, (*string)(&a.Role), &o.Require, &o.Enrolment,
	} {
		w.share(text)
	}
	for i := range s.Proofs {
		w.share((*string)(&s.Proofs[i].Factor))
	}
	a.Groups = w.list(a.Groups)
	w.mu.Unlock()

	own := []*string{
		&e.cookie, (*string)(&a.ID), (*string)(&s.Account), &a.Subject, &a.Username, &a.Name, &a.Email, &a.Mobile,
		(*string)(&s.ID), &s.DeviceID, &s.Address,
	}
	for i := range s.Proofs {
		own = append(own, &s.Proofs[i].Credential)
	}
	pack(own)
}

// share has text be the copy that all have; long ones stay as they are.
func (w *words) share(text *string) {
	if *text == "" || len(*text) > longestWord {
		return
	}
	known, ok := w.texts[*text]
	if !ok {
		if len(w.texts) >= maxWords {
			clear(w.texts)
		}
		known = strings.Clone(*text)
		w.texts[known] = known
	}
	*text = known
}

// list is the copy that all have of a list of texts.
func (w *words) list(texts []string) []string {
	name := strings.Join(texts, "\x00")
	if len(texts) == 0 || len(name) > longestWord {
		return texts
	}
	known, ok := w.lists[name]
	if ok && !slices.Equal(known, texts) { // a text of theirs has the separator in it
		return texts
	}
	if !ok {
		if len(w.lists) >= maxWords {
			clear(w.lists)
		}
		known = make([]string, len(texts))
		for i := range texts {
			known[i] = texts[i]
			w.share(&known[i])
		}
		w.lists[name] = known
	}
	return known
}

// pack has texts share one piece of memory, and what follows its equal the
// equal's.
func pack(texts []*string) {
	var piece strings.Builder
	size := 0
	for i, text := range texts {
		if i == 0 || *text != *texts[i-1] {
			size += len(*text)
		}
	}
	piece.Grow(size)
	for i, text := range texts {
		if i == 0 || *text != *texts[i-1] {
			piece.WriteString(*text)
		}
		*text = piece.String()[piece.Len()-len(*text):]
	}
}
