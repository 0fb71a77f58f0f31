package author

import (
	"slices"
	"strings"
)

// tally counts requests and their URLs.
type tally struct {
	count int64
	// urls are those of people's visits; missing and bots are those apart.
	urls, missing, bots *topList
	// folders count the same by the first folder. They are counted once the
	// URLs are more than urls has room for: the list would have holes.
	folders *topList
}

// urlsKept is how many URLs each tally counts.
const urlsKept = 1024

func newTally() *tally { return &tally{urls: newTopList(urlsKept)} }

func tallyOf[K comparable](tallies map[K]*tally, key K) *tally {
	t, ok := tallies[key]
	if !ok {
		t = newTally()
		tallies[key] = t
	}
	return t
}

func (t *tally) add(url string, how apart) {
	t.count++
	switch how {
	case notFound:
		addTop(&t.missing, url)
	case byBot:
		addTop(&t.bots, url)
	default:
		if t.folders == nil && t.urls.full() {
			t.fold()
		}
		t.urls.add(url, 1)
		if t.folders != nil {
			t.folders.add(folder(url), 1)
		}
	}
}

func addTop(to **topList, url string) {
	if *to == nil {
		*to = newTopList(urlsKept / 4)
	}
	(*to).add(url, 1)
}

// fold begins to count folders: until now the URLs were counted exactly.
func (t *tally) fold() {
	t.folders = newTopList(urlsKept)
	for _, c := range t.urls.heap {
		t.folders.add(folder(c.key), c.count)
	}
}

// folder is the first folder of a URL, as a pattern.
func folder(url string) string {
	end := strings.IndexByte(url[min(1, len(url)):], '/')
	if end < 0 {
		return "/*"
	}
	return url[:end+1] + "/*"
}

func (t *tally) join(o *tally) {
	t.count += o.count
	if t.folders == nil && (o.folders != nil || len(t.urls.heap)+len(o.urls.heap) > urlsKept) {
		t.fold()
	}
	if o.folders == nil && t.folders != nil {
		o.fold()
	}
	t.urls.join(o.urls)
	if t.folders != nil {
		t.folders.join(o.folders)
	}
	joinTop(&t.missing, o.missing)
	joinTop(&t.bots, o.bots)
}

func joinTop(to **topList, o *topList) {
	switch {
	case o == nil:
	case *to == nil:
		*to = o
	default:
		(*to).join(o)
	}
}

func (t *tally) share(of int64, top int) Share {
	s := Share{Requests: t.count, Share: float64(t.count) / float64(max(of, 1)), URLs: t.visited(top)}
	for _, c := range t.missing.most(top) {
		s.URLs = append(s.URLs, URLCount{URL: c.key, Requests: c.count, Over: c.over, NotFound: true})
	}
	for _, c := range t.bots.most(top) {
		s.URLs = append(s.URLs, URLCount{URL: c.key, Requests: c.count, Over: c.over, Bot: true})
	}
	return s
}

// visited lists the URLs of people's visits. Where most of them are too many
// to be counted one by one, their folders fill the list.
func (t *tally) visited(top int) []URLCount {
	list := []URLCount{}
	var listed int64
	for _, c := range t.urls.most(top) {
		list = append(list, URLCount{URL: c.key, Requests: c.count, Over: c.over})
		listed += c.count
	}
	if t.folders == nil || 2*listed > t.count {
		return list
	}
	list = list[:min(len(list), top/2)]
	for _, c := range t.folders.most(top - len(list)) {
		if !slices.ContainsFunc(list, func(u URLCount) bool { return u.URL == c.key }) {
			list = append(list, URLCount{URL: c.key, Requests: c.count, Over: c.over})
		}
	}
	if len(list) == 0 {
		list = append(list, URLCount{URL: "/*", Requests: t.count})
	}
	return list
}
