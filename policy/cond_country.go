package policy

import (
	"errors"
	"slices"
	"strings"
)

// countryCondition is `country XX…`: the client's address is in one of them.
type countryCondition struct{ codes []string }

var errNoCountry = errors.New("policy: the country is not known")

// countries are the codes of ISO 3166, and XK, which databases of places have
// for Kosovo. A code that is none would be a condition that never holds.
const countries = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK " +
	"CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS " +
	"GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV " +
	"LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM " +
	"PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR " +
	"TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW "

func compileCountry(c ConditionConfig) (Condition, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("expected `country XX…`, codes of ISO 3166 such as `GB`")
	}
	var codes []string
	for _, word := range c.Args {
		if len(word) != 2 || strings.Trim(strings.ToUpper(word), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return nil, errors.New("`" + word + "`: expected codes of ISO 3166, two letters such as `GB`")
		}
		code := strings.ToUpper(word)
		if !strings.Contains(countries, code+" ") {
			hint := ""
			if code == "UK" {
				hint = "; did you mean GB?"
			}
			return nil, errors.New("`" + word + "`: no country has this code of ISO 3166" + hint)
		}
		codes = append(codes, code)
	}
	return countryCondition{codes}, nil
}

func (c countryCondition) Holds(r *Request) (bool, error) {
	if r.Country == "" {
		return false, errNoCountry
	}
	return slices.Contains(c.codes, r.Country), nil
}

func (c countryCondition) Reason() string { return ReasonCountry }
