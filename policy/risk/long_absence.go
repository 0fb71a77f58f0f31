package risk

// longAbsence is the first visit after a long time.
var longAbsence = signal{
	name: "long_absence", weight: 15, text: "the first visit after a long time",
	judge: func(f *Facts, s *Settings) verdict {
		if !f.VisitsKnown {
			return unknown
		}
		last, ok := f.last()
		return when(ok && f.Now.Sub(last.At) > s.Absence)
	},
}
