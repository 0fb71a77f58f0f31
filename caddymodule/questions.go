package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/internal/web"
)

// minQuestions is how many questions there are at least to choose from.
const minQuestions = 12

// parseQuestions reads `questions { LANGUAGE "QUESTION"… }`.
func (a *App) parseQuestions(d *caddyfile.Dispenser) error {
	if err := block.NoMore(d); err != nil {
		return err
	}
	a.Questions = map[string][]string{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		lang := d.Val()
		if _, twice := a.Questions[lang]; twice {
			return d.Errf("questions %s: it is there twice", lang)
		}
		a.Questions[lang] = d.RemainingArgs()
		if err := block.NoBlock(d); err != nil {
			return err
		}
	}
	if err := a.checkQuestions(); err != nil {
		return d.Errf("%v", err)
	}
	return nil
}

// checkQuestions tells what is wrong with the operator's own questions.
func (a *App) checkQuestions() error {
	if a.Questions == nil {
		return nil
	}
	if len(a.Questions) == 0 {
		return errors.New("questions: expected a language and its questions, such as `en \"…\" \"…\"`")
	}
	count := -1
	for _, lang := range slices.Sorted(maps.Keys(a.Questions)) {
		all := a.Questions[lang]
		if len(all) < minQuestions {
			return fmt.Errorf("questions %s: %d questions; expected %d at least", lang, len(all), minQuestions)
		}
		if count >= 0 && count != len(all) {
			return fmt.Errorf("questions %s: %d questions and %d in another language; the same ones stand in each, in the same order", lang, len(all), count)
		}
		count = len(all)
		for i, question := range all {
			same := func(other string) bool {
				return strings.EqualFold(strings.TrimSpace(other), strings.TrimSpace(question))
			}
			if strings.TrimSpace(question) == "" || slices.ContainsFunc(all[:i], same) {
				return fmt.Errorf("questions %s: question %d is empty, or there before", lang, i+1)
			}
		}
	}
	return nil
}

// questionKeys are the ids of the operator's own questions; none for ours.
func (a *App) questionKeys() []string {
	var keys []string
	for _, all := range a.Questions {
		for i := range all {
			keys = append(keys, questionKey(i))
		}
		break // as many in every language
	}
	return keys
}

func questionKey(i int) string { return "own-question." + strconv.Itoa(i+1) }

// extendQuestions puts the operator's own questions into a site's pages, which
// must have them in every language that they are shown in.
func (a *App) extendQuestions(pages *web.Pages, languages []string) error {
	if a.Questions == nil {
		return nil
	}
	for _, lang := range languages {
		if a.Questions[lang] == nil {
			return fmt.Errorf("questions: none in %q, which the pages are in", lang)
		}
	}
	for lang, all := range a.Questions {
		texts := web.Catalogue{}
		for i, question := range all {
			texts[questionKey(i)] = question
		}
		if err := pages.Extend(lang, texts); err != nil {
			return fmt.Errorf("questions %s: %w", lang, err)
		}
	}
	return nil
}
