package risk

// browserChanged is a session that goes on in another browser than it began in:
// browsers change at their restart, not in mid-session.
var browserChanged = signal{
	name: "browser_changed", weight: 40, text: "the session went on in another browser",
	judge: func(f *Facts, _ *Settings) verdict { return when(f.BrowserChanged) },
}
