package archtest

// room is one line of the dependency rule.
type room struct {
	// name is a path below the module, or a family of rooms: "signin/*".
	// "internal/" is left out in this file.
	name string
	// may lists what its code may import of ours, families among it. "…" is
	// everything.
	may string
	// closed rooms keep to the rule in their tests as well. Tests of the
	// others may bring in any room but their peers, to have something to
	// test with.
	closed bool
	// because is why, where the line is not plain.
	because string
}

// rooms is the rule. The line that names a package most exactly is its own.
var rooms = []room{
	{name: "cmd/*", may: "caddymodule caddymodule/command", because: "command: help lists what there is"},
	{name: "caddymodule", may: "…", because: "the composition root: rooms that need each other meet there"},

	{name: "caddymodule/block", may: "policy", because: "policy: options keep where they stand, and lengths of time their unit"},
	{name: "caddymodule/command", may: "caddymodule/block keys operation people policy/author policy/accesslog policy audit account session signin/legacyform demo doctor",
		because: "`demo` shows the portal, `legacy learn` tries a login form; the others are the words that operations are asked in"},
	{name: "caddymodule/guest", may: "caddymodule/block caddymodule/source factors/delivery factors/delivery/* account signin signin/*",
		because: "signin: which of a source's words count is read for several of them"},
	{name: "caddymodule/source", may: "signin account", because: "it names the types of the contract for modules of other repositories"},

	// Ceremonies and pages. They never import each other.
	{name: "challenge", may: "ceremony people device factors factors/delivery signin session account policy kept throttle audit web keys",
		because: "signin and audit: a ceremony asks the sources by their capabilities, and every step of it is an event; delivery: what tells of a step is kept with it"},
	{name: "selfservice", may: "ceremony people device factors factors/token session account policy kept throttle audit web keys"},
	{name: "admin", may: "ceremony people device factors factors/token session account policy kept throttle audit web keys"},
	{name: "ceremony", may: "factors factors/delivery account audit session throttle policy",
		because: "what a step writes: a factor's state, a credential or a proof with its event, with the messages that tell of it and the budgets that it puts right"},
	{name: "people", may: "account session factors/delivery audit signin ceremony policy",
		because: "signin: it finds or makes the account of who a source says is at the door; ceremony: an invitation is a link, and a link a transaction; policy: the words of levels, and the nearest of words"},
	{name: "operation", may: "factors/token policy people account audit keys policy/author", because: "what is asked of a gateway, by commands and by pages, in the words of the rooms that do it"},

	// Who is at the door.
	{name: "signin", may: "account"},
	{name: "signin/*", may: "signin factors/password account"},
	{name: "signin/legacyform", may: "signin factors/password account weld policy/target",
		because: "what a request carries is read in every way, as the policy reads it"},

	// How a claim is proved.
	{name: "factors", may: "account policy"},
	{name: "factors/*", may: "factors account policy keys"},
	{name: "factors/approval", may: "factors account policy keys softtoken", because: "as factors/device"},
	{name: "factors/device", may: "factors account policy keys softtoken", because: "softtoken: a key behind a PIN is one piece of code, whoever keeps it"},
	{name: "factors/oob", may: "factors account policy keys factors/delivery", because: "codes travel in messages"},
	{name: "factors/delivery", closed: true},
	{name: "factors/delivery/*", may: "factors/delivery"},

	// The way of a request.
	{name: "inject", may: "web", because: "web: what a navigation is, and the headers of what we answer ourselves"},
	{name: "gate", may: "telemetry inject factors/token challenge ceremony session policy policy/target kept watched web keys audit account throttle weld signin signin/legacyform signin/upstreambasic",
		because: "account, weld and signin: the app's own login is a step of the way, and says who somebody is"},
	{name: "watched", may: "signin signin/legacyform signin/upstreambasic weld session account people throttle audit web",
		because: "people, throttle and audit: a login leads to an account, costs a try, and is an event; upstreambasic: an app that asks by itself is asked by the same way"},

	// The app on people's phones, and how they are told.
	{name: "authenticator", may: "factors factors/approval factors/delivery ceremony people account audit policy push softtoken",
		because: "ceremony: a pairing is a step of one; people and delivery: a denial is told; push: phones are"},
	{name: "push", closed: true},

	// What a browser carries.
	{name: "session", may: "account policy keys"},
	{name: "device", may: "account"},
	{name: "weld", may: "session keys policy/target"},
	{name: "kept", may: "session account audit keys", because: "account and audit: a request is somebody's, and is kept and sent on with its event"},

	// What decides. Pure.
	{name: "policy", may: "policy/target", closed: true},
	{name: "policy/target", closed: true},
	{name: "policy/risk", may: "policy"},
	{name: "policy/author", may: "policy policy/target policy/exact policy/accesslog", because: "explain and rehearse read targets as the handler does; diff and lint go through all paths"},
	{name: "policy/accesslog", closed: true},
	{name: "policy/exact", closed: true},

	// Where things are kept: the rooms whose data it keeps, never the other
	// way round.
	{name: "store", may: "ceremony session account kept weld throttle audit people keys factors factors/* factors/delivery",
		because: "factors: codes, messages and credentials are data of theirs"},
	{name: "store/*", may: "telemetry store ceremony session account kept weld throttle audit people keys factors factors/* factors/delivery policy",
		because: "policy: the proofs of a session are its data"},

	{name: "doctor", may: "policy/author", because: "what a request should lead to is the policy's own word"},

	// What everyone may import.
	{name: "telemetry", closed: true},
	{name: "account", closed: true},
	{name: "audit", may: "keys", closed: true},
	{name: "keys", closed: true},
	{name: "softtoken", closed: true},
	{name: "throttle", closed: true},
	{name: "web", closed: true},

	// Somebody else's programs.
	{name: "demo", closed: true, because: "an old application knows nothing of the gateway in front of it"},
	{name: "pagetest", may: "audit device keys session store store/sqldb store/storetest throttle web", closed: true, because: "what the pages' rooms stand on in their tests"},
	{name: "legacytest", closed: true, because: "so are the applications and servers that the tests start"},

	// Tools.
	{name: "archtest", closed: true},
	{name: "bench", closed: true, because: "it measures a binary from outside"},
	{name: "bench/rules", closed: true, because: "it measures a binary from outside"},
}

// peers are families whose members never import each other, in tests neither.
var peers = [][]string{
	{"challenge", "selfservice", "admin"},
	{"factors/*"},
	{"factors/delivery/*"},
	{"signin/*"},
}

// notPeers are members of a family by name that all of it may import.
var notPeers = []string{"factors/delivery", "factors/password"}

// only names rooms that alone may import something.
var only = []struct {
	imported string // a path, or one with all below it: "path/..."
	rooms    string
	tests    bool // tests of any room may
	because  string
}{
	{"github.com/caddyserver/caddy/v2/...", "cmd/stepgate caddymodule caddymodule/block caddymodule/command caddymodule/guest caddymodule/source", false, "one wing speaks Caddy, so that no other needs it to be built or tested"},
	{"database/sql", "store/sqldb", true, "SQL is written in one place; a test may change what the store holds behind it"},
	{"math/rand", "", true, "what an attacker may guess comes from crypto/rand"},
	{"math/rand/v2", "store/sqldb", true, "what an attacker may guess comes from crypto/rand; sqldb only spreads its retries"},
	{"demo", "caddymodule/command", true, "the portal is for demonstrations and tests"},
	{"legacytest", "", true, "it starts servers; only tests do"},
	{"store/storetest", "pagetest", true, "it is a test suite"},
	{"pagetest", "", true, "only tests of pages stand on it"},
}

// pure rooms decide from what they are given: no files, no network, no HTTP.
var (
	pure     = []string{"policy", "policy/target", "policy/risk", "policy/exact"}
	impurity = []string{"os", "io/fs", "net", "net/http", "log", "log/slog"}
)

// nameless are names of packages that say nothing of what is in them.
var nameless = []string{"util", "utils", "common", "helper", "helpers", "types", "models", "errors", "misc", "base"}
