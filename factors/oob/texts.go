package oob

import (
	"fmt"
	"strings"

	"github.com/stepgate/stepgate/factors"
)

// texts are all words of messages, and of credentials that messages go to.
// Those of text messages have no letter that GSM-7 lacks (3GPP TS 23.038): one
// "â" would make the message twice as long, and twice as dear.
var texts = map[string]factors.Words{
	"purpose.enrol.phone":    {"en": "add this phone to {name}", "cy": "ychwanegu'r rhif hwn at {name}"},
	"purpose.enrol.address":  {"en": "add this address to {name}", "cy": "ychwanegu'r cyfeiriad hwn at {name}"},
	"purpose.reset-password": {"en": "choose a new password for {name}", "cy": "ddewis cyfrinair newydd ar gyfer {name}"},
	"purpose.sign-in":        {"en": "sign in to {name}", "cy": "fewngofnodi i {name}"},
	"purpose.change":         {"en": "confirm a change at {name}", "cy": "gadarnhau newid yn {name}"},
	"this-site":              {"en": "this site", "cy": "y safle hwn"},

	// Welsh counts with a mutation after two.
	"minutes.1": {"en": "1 minute", "cy": "1 munud"},
	"minutes.2": {"en": "2 minutes", "cy": "2 funud"},
	"minutes":   {"en": "{n} minutes", "cy": "{n} munud"},

	"sms.whole": {
		"en": "{code} is your code to {purpose}. Do not share it. It works for {minutes}.",
		"cy": "{code} yw eich cod i {purpose}. Cadwch ef i chi'ch hun. Mae'n gweithio am {minutes}.",
	},
	"sms.short": {
		"en": "{code} is your code to {purpose}. Do not share it.",
		"cy": "{code} yw eich cod i {purpose}. Cadwch ef i chi'ch hun.",
	},
	"sms.name": {"en": "{code} is your code for {name}.", "cy": "{code} yw eich cod ar gyfer {name}."},
	"sms.bare": {"en": "{code} is your code.", "cy": "{code} yw eich cod."},

	"mail.subject": {"en": "Your code for {name}", "cy": "Eich cod ar gyfer {name}"},
	"mail.body": {
		"en": `Your code to {purpose} is

{code}

Enter it on the page that asked for it. It works once, for {minutes}. Do not
share it: we never ask for it by phone or e-mail.

If you did not ask for it, somebody may know your password. Go to {name} as you
always do, and change it.
`,
		"cy": `Eich cod i {purpose} yw

{code}

Rhowch ef ar y dudalen a ofynnodd amdano. Mae'n gweithio unwaith, am {minutes}.
Peidiwch â'i rannu: nid ydym byth yn gofyn amdano dros y ffôn na thrwy e-bost.

Os na wnaethoch chi ofyn amdano, efallai fod rhywun yn gwybod eich cyfrinair.
Ewch i {name} fel yr ydych yn ei wneud bob tro, a newidiwch ef.
`,
	},

	"ending": {"en": "ending {end}", "cy": "sy'n gorffen gyda {end}"},
}

// say gives a text with its parameters: name, value, name, value.
func say(language, id string, params ...string) string {
	pairs := make([]string, len(params))
	for i := 0; i+1 < len(params); i += 2 {
		pairs[i], pairs[i+1] = "{"+params[i]+"}", params[i+1]
	}
	return strings.NewReplacer(pairs...).Replace(texts[id].In(language))
}

// sayMinutes is a number of minutes in words.
func sayMinutes(language string, n int) string {
	if id := fmt.Sprintf("minutes.%d", n); texts[id] != nil {
		return say(language, id)
	}
	return say(language, "minutes", "n", fmt.Sprint(n))
}
