package knowledge

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

const (
	// asked is how many questions a person answers.
	asked = 3
	// minAnswer is how many letters and digits an answer has at least.
	minAnswer = 3
	// maxAnswer bounds an answer as it is typed, in bytes.
	maxAnswer = 200
)

// Choices are the catalogue keys of the questions that are offered where the
// operator names none. None of them asks for what a register or a social
// network shows.
func Choices() []string {
	return []string{
		"question.first-teacher", "question.first-street", "question.childhood-friend", "question.first-job", "question.first-concert",
		"question.first-holiday", "question.favourite-toy", "question.first-book", "question.grandparent-job", "question.first-meal",
		"question.school-nickname", "question.first-film", "question.lost-thing", "question.first-car",
	}
}

// Questions is the factor `security_questions`. Safe for concurrent use.
type Questions struct {
	keep    keeper
	choices []string
	text    func(language, key string) string
}

var _ factors.Enroller = (*Questions)(nil)

// NewQuestions makes the factor. choices are catalogue keys, or questions in
// full where no catalogue has them; none means Choices. text gives a question
// as a page in that language (BCP 47) shows it.
func NewQuestions(keys Keys, hasher Hasher, store factors.CredentialStore, choices []string, text func(language, key string) string) *Questions {
	if len(choices) == 0 {
		choices = Choices()
	}
	return &Questions{keep: keeper{keys: keys, hasher: hasher, store: store, purpose: "security questions"}, choices: choices, text: text}
}

// Kind implements factors.Factor.
func (q *Questions) Kind() policy.Factor { return policy.SecurityQuestions }

// Prepare implements factors.Factor. All three are asked, always in the same
// order: whoever does not know one gets no other instead.
func (q *Questions) Prepare(_ context.Context, _ factors.Scope, held []account.Credential, state factors.State, _ bool) (factors.Prompt, factors.State, error) {
	c, ok := only(held, policy.SecurityQuestions)
	if !ok {
		return factors.Prompt{}, nil, factors.ErrUnavailable
	}
	kept, err := knownOf(c)
	if err != nil {
		return factors.Prompt{}, nil, err
	}
	return factors.Prompt{Shape: factors.ShapeQuestions, Factor: policy.SecurityQuestions, Questions: kept.Questions}, state, nil
}

// Verify implements factors.Factor.
func (q *Questions) Verify(ctx context.Context, scope factors.Scope, held []account.Credential, _ factors.State, answer factors.Answer) (factors.Verified, error) {
	parts := make([][]byte, asked)
	for i := range parts {
		parts[i] = []byte(fold(typed(answer, i)))
	}
	return q.keep.verify(ctx, scope, held, policy.SecurityQuestions, parts...)
}

// BeginEnrolment implements factors.Enroller.
func (q *Questions) BeginEnrolment(_ context.Context, _ factors.Scope, held []account.Credential, state factors.State, _ factors.Answer) (factors.Prompt, factors.State, error) {
	if _, has := only(held, policy.SecurityQuestions); has {
		return factors.Prompt{}, nil, factors.ErrTaken
	}
	return factors.Prompt{Shape: factors.ShapeQuestions, Factor: policy.SecurityQuestions, Choices: q.choices}, state, nil
}

// ConfirmEnrolment implements factors.Enroller. A *factors.Unsuitable says
// what is wrong with which answer.
func (q *Questions) ConfirmEnrolment(ctx context.Context, scope factors.Scope, held []account.Credential, _ factors.State, answer factors.Answer) (account.Credential, error) {
	if _, has := only(held, policy.SecurityQuestions); has {
		return account.Credential{}, factors.ErrTaken
	}
	var questions []string
	var parts [][]byte
	for i := range asked {
		question := answer.Fields["question_"+strconv.Itoa(i+1)]
		if err := q.check(i, question, typed(answer, i), questions, parts); err != nil {
			return account.Credential{}, err
		}
		if own(scope.Account, typed(answer, i)) {
			return account.Credential{}, &factors.Unsuitable{Field: "answer_" + strconv.Itoa(i+1), Text: "error.answer.own"}
		}
		if strings.Contains(fold(q.text(scope.Language, question)), fold(typed(answer, i))) {
			return account.Credential{}, &factors.Unsuitable{Field: "answer_" + strconv.Itoa(i+1), Text: "error.answer.in-question"}
		}
		questions = append(questions, question)
		parts = append(parts, []byte(fold(typed(answer, i))))
	}
	c := account.Credential{Factor: string(policy.SecurityQuestions), Label: account.SecurityQuestions.In(scope.Language)}
	if err := q.keep.keep(ctx, &c, scope.Account.ID, questions, parts...); err != nil {
		return account.Credential{}, err
	}
	return c, nil
}

// check tells what is wrong with the answer to question i, beside those
// before it.
func (q *Questions) check(i int, question, text string, before []string, answers [][]byte) error {
	n := strconv.Itoa(i + 1)
	answer := fold(text)
	switch {
	case !slices.Contains(q.choices, question):
		return &factors.Unsuitable{Field: "question_" + n, Text: "error.question.choose"}
	case slices.Contains(before, question):
		return &factors.Unsuitable{Field: "question_" + n, Text: "error.question.twice"}
	case len([]rune(answer)) < minAnswer || len(text) > maxAnswer:
		return &factors.Unsuitable{Field: "answer_" + n, Text: "error.answer.length"}
	case slices.ContainsFunc(answers, func(b []byte) bool { return string(b) == answer }):
		return &factors.Unsuitable{Field: "answer_" + n, Text: "error.answer.same"}
	default:
		return nil
	}
}

// own tells whether an answer is what everybody knows of the person: what they
// are called, and where mail reaches them.
func own(a account.Account, text string) bool {
	mailbox, _, _ := strings.Cut(a.Email, "@")
	answer := fold(text)
	return slices.ContainsFunc([]string{a.Username, a.Name, a.Email, mailbox, a.Mobile}, func(known string) bool { return fold(known) == answer })
}

func typed(answer factors.Answer, i int) string { return answer.Fields["answer_"+strconv.Itoa(i+1)] }

// fold is an answer without what people type differently from one time to the
// next: compatibility forms, letter case, blanks and punctuation.
func fold(text string) string {
	folded := cases.Fold().String(norm.NFKC.String(text))
	return norm.NFKC.String(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
			return r
		}
		return -1
	}, folded))
}
