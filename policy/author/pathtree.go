package author

import (
	"maps"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
)

// pathTree counts what requests came to by the folders of their paths, in
// bounded memory: what is too deep, too wide or too much counts with the
// folder above.
type pathTree struct {
	sites []*pathNode
	nodes int
}

// pathNode is one segment of a path.
type pathNode struct {
	children map[string]*pathNode
	// seen counts requests for just this path, or for what is folded into it.
	seen map[seenAs]int64
	// folded is set where paths below count here.
	folded bool
}

// seenAs is what a request was, and what it came to.
type seenAs struct {
	need   need
	method string
	action string // `?name=value`, where that chooses what is done
	rule   *policy.Rule
	apart  apart
	// unasked: no rule was asked, nor the default, about a page of the gateway
	// or of the login that is watched.
	unasked bool
}

const (
	maxNodes    = 50_000
	maxDepth    = 6
	maxChildren = 400
	maxSeen     = 200 // of one node
)

func newPathTree(sites int) *pathTree {
	t := &pathTree{}
	for range sites {
		t.sites = append(t.sites, &pathNode{})
	}
	return t
}

// method is the name of a method that is in use, or one word for the others.
func (t *pathTree) method(name string) string {
	if at := slices.Index(knownMethods, name); at >= 0 {
		return knownMethods[at]
	}
	return "OTHER"
}

var knownMethods = policy.KnownMethods()

// add counts a request. path and action are parts of a line, and copied if
// they are kept.
func (t *pathTree) add(site int, path string, as seenAs) {
	at := t.sites[site]
	for rest, depth := strings.TrimPrefix(path, "/"), 0; rest != ""; depth++ {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		child := at.children[segment]
		if child == nil {
			if depth >= maxDepth || len(at.children) >= maxChildren || t.nodes >= maxNodes {
				at.folded = true
				break
			}
			if at.children == nil {
				at.children = map[string]*pathNode{}
			}
			child = &pathNode{}
			t.nodes++
			at.children[strings.Clone(segment)] = child
		}
		at = child
	}
	t.count(at, as, 1)
}

func (t *pathTree) count(at *pathNode, as seenAs, n int64) {
	if _, known := at.seen[as]; !known {
		if at.seen == nil {
			at.seen = map[seenAs]int64{}
		}
		if len(at.seen) >= maxSeen {
			as.action = ""
		} else if as.action != "" {
			as.action = strings.Clone(as.action)
		}
	}
	at.seen[as] += n
}

// join adds what another tree has counted.
func (t *pathTree) join(o *pathTree) {
	for i, root := range o.sites {
		t.joinNode(t.sites[i], root)
	}
}

func (t *pathTree) joinNode(to, from *pathNode) {
	to.folded = to.folded || from.folded
	for as, n := range from.seen {
		t.count(to, as, n)
	}
	for segment, child := range from.children {
		mine := to.children[segment]
		switch {
		case mine != nil:
		case len(to.children) >= maxChildren || t.nodes >= maxNodes:
			to.folded = true
			mine = to
		default:
			if to.children == nil {
				to.children = map[string]*pathNode{}
			}
			mine = &pathNode{}
			t.nodes++
			to.children[segment] = mine
		}
		t.joinNode(mine, child)
	}
}

// all is what a node and those below it counted.
func (n *pathNode) all() map[seenAs]int64 {
	sum := maps.Clone(n.seen)
	if sum == nil {
		sum = map[seenAs]int64{}
	}
	for _, child := range n.children {
		for as, k := range child.all() {
			sum[as] += k
		}
	}
	return sum
}

// names are those of the children, in order.
func (n *pathNode) names() []string { return slices.Sorted(maps.Keys(n.children)) }
