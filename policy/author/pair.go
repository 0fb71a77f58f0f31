package author

// SitePair is one site in its two versions. One of them is nil where only the
// other has it.
type SitePair struct{ Was, Is *Site }

// Origin is the site's.
func (p SitePair) Origin() string {
	if p.Is != nil {
		return p.Is.Origin
	}
	return p.Was.Origin
}

// Gate tells what it means that only one version has the site.
func (p SitePair) Gate() (SettingChange, bool) {
	switch {
	case p.Is == nil:
		return SettingChange{
			Direction: Weaker, Setting: "gate", Old: "there", New: "none", Request: "GET " + p.Was.Origin + "/",
			Text: "no gate stands there any more: whatever still answers at this address asks for nothing",
		}, true
	case p.Was == nil:
		return SettingChange{Direction: Stronger, Setting: "gate", Old: "none", New: "there", Text: "a gate stands there now"}, true
	default:
		return SettingChange{}, false
	}
}

// Pair finds for each site its other version: by the origin, or the only one
// in both.
func Pair(was, is []*Site) []SitePair {
	if len(was) == 1 && len(is) == 1 {
		return []SitePair{{was[0], is[0]}}
	}
	var pairs []SitePair
	met := map[*Site]bool{}
	for _, old := range was {
		pair := SitePair{Was: old}
		for _, now := range is {
			if pair.Is == nil && !met[now] && now.Origin == old.Origin {
				pair.Is = now
				met[now] = true
			}
		}
		pairs = append(pairs, pair)
	}
	for _, now := range is {
		if !met[now] {
			pairs = append(pairs, SitePair{Is: now})
		}
	}
	return pairs
}
