package caddymodule

import (
	"errors"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
)

// letterTexts are the mails that bring a link: subject and body.
var letterTexts = map[string][2]factors.Words{
	ceremony.Register: {
		{"en": "Register with {name}", "cy": "Cofrestru gyda {name}"},
		{
			"en": "An account was made for you: {account}.\n\nOpen this link to set it up. It works once, for three days:\n{link}\n\n" +
				"You will need your mobile phone.\nIf you expected no account, ignore this message.\n",
			"cy": "Crëwyd cyfrif i chi: {account}.\n\nAgorwch y ddolen hon i'w osod. Mae'n gweithio unwaith, am dridiau:\n{link}\n\n" +
				"Bydd angen eich ffôn symudol arnoch.\nOs nad oeddech yn disgwyl cyfrif, anwybyddwch y neges hon.\n",
		},
	},
	ceremony.ResetPassword: {
		{"en": "Choose a new password", "cy": "Dewis cyfrinair newydd"},
		{
			"en": "Somebody asked for a new password for your account: {account}.\n\nOpen this link to choose one. It works once, for one hour:\n{link}\n\n" +
				"If it was not you, ignore this message: nothing changes.\n",
			"cy": "Gofynnodd rhywun am gyfrinair newydd ar gyfer eich cyfrif: {account}.\n\nAgorwch y ddolen hon i ddewis un. Mae'n gweithio unwaith, am awr:\n{link}\n\n" +
				"Os nad chi wnaeth hyn, anwybyddwch y neges hon: nid oes dim yn newid.\n",
		},
	},
}

// links are those of a site that signs local accounts in.
func (h *Handler) links(r *runtime) *people.Links {
	return &people.Links{
		Origin:  h.Origin,
		Address: func(purpose, token string) string { return h.Origin + h.gate.Web.Path("/"+purpose+"/"+token) },
		Letter: func(purpose string, to account.Account, link string) delivery.Message {
			return h.letter(letterTexts[purpose], to, link)
		},
		Notices: h.notices(r),
		Mail:    func() bool { return h.app.has(delivery.Email) },
		Wake:    r.outbox.Wake,
	}
}

// letter is a mail in all languages of the site.
func (h *Handler) letter(text [2]factors.Words, to account.Account, link string) delivery.Message {
	fill := strings.NewReplacer("{account}", to.Username, "{name}", h.gate.Web.Name, "{site}", h.Origin, "{link}", link)
	var parts []string
	for _, language := range h.languages() {
		part := fill.Replace(text[1].In(language))
		if h.gate.Web.Help != "" {
			part += h.gate.Web.Help + "\n"
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return delivery.Message{Subject: h.gate.Web.Name + ": " + fill.Replace(text[0].In(h.languages()[0])), Body: strings.Join(parts, "\n----\n\n")}
}

// signsLocal tells whether local accounts sign in at the site.
func (h *Handler) signsLocal() bool {
	for _, s := range h.sources {
		if s.Name() == account.LocalSource {
			return true
		}
	}
	return false
}

// invitations are the links of the first site that signs local accounts in,
// nil where there is none.
func (a *App) invitations(r *runtime) *people.Links {
	for _, site := range a.sites {
		if site.signsLocal() && site.gate.Web != nil {
			return site.links(r)
		}
	}
	return nil
}

// strengthOf is the word for how strong a password is that judge lets pass.
func strengthOf(chosen account.Secret) string { return string(password.Measure(chosen)) }

// judge says in the words of a page what is wrong with a chosen password.
func (h *Handler) judge(chosen account.Secret, owner account.Account, alone bool) (text string, args []any) {
	rules := password.Rules{}
	if alone {
		rules.MinLength = password.AloneLength
	}
	err := rules.Check(chosen, owner.Username, h.gate.Web.Name)
	if refusal := (*password.Refusal)(nil); errors.As(err, &refusal) {
		return "error.password." + string(refusal.Reason), []any{"min", refusal.Min, "max", refusal.Max}
	}
	return "", nil
}
