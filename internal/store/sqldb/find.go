package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
)

const defaultPage = 100

// Accounts implements store.Reader. It returns account.ErrNotFound when
// f.After is gone: the listing has to begin again.
func (r reader) Accounts(ctx context.Context, f account.Filter) (page []account.Account, err error) {
	if f.Limit <= 0 {
		f.Limit = defaultPage
	}
	terms := account.Terms(storable(f.Query))
	switch {
	case f.Query != "" && len(terms) == 0:
	case f.Role != "" || f.Query == "":
		page, err = r.listAccounts(ctx, f, terms)
	default:
		page, err = r.findAccounts(ctx, f, terms)
	}
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return page, nil
}

// The listings each go along one index, in its order, and stop at the limit.
const (
	listAll = ` WHERE (username_folded, id) > ($1, $2) AND ($3 = '' OR source = $3)
		ORDER BY username_folded, id LIMIT $4`
	listOrganisation = ` WHERE organisation = $1 AND (username_folded, id) > ($2, $3) AND ($4 = '' OR source = $4)
		ORDER BY username_folded, id LIMIT $5`
	listRole = ` WHERE role = $1 AND (username_folded, id) > ($2, $3) AND ($4 = '' OR source = $4) AND ($5 = '' OR organisation = $5)
			AND ($6 = '' OR EXISTS (SELECT 1 FROM account_word WHERE word_account = id AND word >= $6 AND word < $7))
			AND ($8 = '' OR EXISTS (SELECT 1 FROM account_word WHERE word_account = id AND word >= $8 AND word < $9))
			AND ($10 = '' OR EXISTS (SELECT 1 FROM account_word WHERE word_account = id AND word >= $10 AND word < $11))
		ORDER BY username_folded, id LIMIT $12`
)

// listAccounts goes through all accounts, or those of an organisation or role.
// Few have a role that is looked for, so that a query only narrows them down.
func (r reader) listAccounts(ctx context.Context, f account.Filter, terms []string) ([]account.Account, error) {
	after, err := r.usernameBehind(ctx, f.After)
	if err != nil {
		return nil, err
	}
	switch {
	case f.Role != "":
		args := append([]any{string(f.Role), after, string(f.After), f.Source, f.Organisation}, ranges(terms, account.MaxTerms)...)
		return list(ctx, r.q, scanAccount, selectAccount+listRole, append(args, f.Limit)...)
	case f.Organisation != "":
		return list(ctx, r.q, scanAccount, selectAccount+listOrganisation, f.Organisation, after, string(f.After), f.Source, f.Limit)
	default:
		return list(ctx, r.q, scanAccount, selectAccount+listAll, after, string(f.After), f.Source, f.Limit)
	}
}

// usernameBehind is the folded username of the account that a page begins
// behind.
func (r reader) usernameBehind(ctx context.Context, after account.ID) (string, error) {
	if after == "" {
		return "", nil
	}
	return one(ctx, r.q, account.ErrNotFound, value[string], `SELECT username_folded FROM account WHERE id = $1`, string(after))
}

// AccountsNamed implements store.Reader.
func (r reader) AccountsNamed(ctx context.Context, folded ...string) ([]account.Account, error) {
	all, err := amongMany(ctx, r.q, scanAccount, selectAccount+` WHERE username_folded IN (%s) ORDER BY username_folded, source`, nil, folded)
	if err != nil {
		return nil, fmt.Errorf("list accounts of names: %w", err)
	}
	return all, nil
}

// AccountsBySubject implements store.Reader.
func (r reader) AccountsBySubject(ctx context.Context, source string, subjects []string) ([]account.Account, error) {
	all, err := amongMany(ctx, r.q, scanAccount, selectAccount+` WHERE source = $1 AND subject IN (%s)`, []any{source}, subjects)
	if err != nil {
		return nil, fmt.Errorf("list accounts by subject: %w", err)
	}
	return all, nil
}

// Usernames implements store.Reader: one statement for all.
func (r reader) Usernames(ctx context.Context, ids []account.ID) (map[account.ID]string, error) {
	names := make(map[account.ID]string, len(ids))
	if len(ids) == 0 {
		return names, nil
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	marks, args := among(nil, texts)
	err := r.q.each(ctx, func(rows row) error {
		var id, name, source string
		var shared bool
		err := rows.Scan(&id, &name, &source, &shared)
		if shared {
			name += " (" + source + ")"
		}
		names[account.ID(id)] = name
		return err
	}, `SELECT id, username, source, EXISTS (SELECT 1 FROM account other WHERE other.username_folded = account.username_folded AND other.id <> account.id)
		FROM account WHERE id IN (`+marks+`)`, args...)
	if err != nil && !errors.Is(err, errUnstorable) {
		return nil, fmt.Errorf("read usernames: %w", err)
	}
	return names, nil
}

// Finding goes along the words that begin as the first term does, in their
// order, and looks for the others in the same row. Who has several words that
// begin so is found at the first of them: what is between a term and a word
// that begins so begins so too. That costs as much as the page is long, however
// many begin so, and with several terms as much as there are of the rarest.
const (
	findAll = ` JOIN account_word ON word_account = id
		WHERE word >= $1 AND word < $2 AND (word, word_username, word_account) > ($3, $4, $5) AND word_before < $1
			AND word_all LIKE $6 ESCAPE '!' AND word_all LIKE $7 ESCAPE '!' AND ($8 = '' OR source = $8)
		ORDER BY word, word_username, word_account LIMIT $9`

	findOrganisation = ` JOIN account_word ON word_account = id
		WHERE word >= $1 AND word < $2 AND (word, word_username, word_account) > ($3, $4, $5) AND word_before < $1
			AND word_all LIKE $6 ESCAPE '!' AND word_all LIKE $7 ESCAPE '!' AND ($8 = '' OR source = $8) AND word_organisation = $9
		ORDER BY word, word_username, word_account LIMIT $10`
)

func (r reader) findAccounts(ctx context.Context, f account.Filter, terms []string) ([]account.Account, error) {
	if err := r.rarestFirst(ctx, terms); err != nil {
		return nil, err
	}
	behind, err := r.wordBehind(ctx, f.After, terms[0])
	if err != nil {
		return nil, err
	}
	args := append(ranges(terms, 1), behind.word, behind.username, string(f.After))
	for i := 1; i < account.MaxTerms; i++ {
		args = append(args, amongWords(terms, i))
	}
	args = append(args, f.Source)
	if f.Organisation != "" {
		return list(ctx, r.q, scanAccount, selectAccount+findOrganisation, append(args, f.Organisation, f.Limit)...)
	}
	return list(ctx, r.q, scanAccount, selectAccount+findAll, append(args, f.Limit)...)
}

// rareUpTo are how many words a term may begin for it to be rare: few are
// counted first, and more only where none is that rare. Terms that are all
// common are together in many accounts, so that it matters little which of them
// is gone along.
var rareUpTo = []int{500, 5000}

// rarestFirst puts the term first that fewest words begin with.
func (r reader) rarestFirst(ctx context.Context, terms []string) error {
	if len(terms) < 2 {
		return nil
	}
	words := map[string]int{}
	for _, limit := range rareUpTo {
		rarest := limit
		for _, term := range terms {
			n, err := one(ctx, r.q, sql.ErrNoRows, value[int],
				`SELECT count(*) FROM (SELECT 1 FROM account_word WHERE word >= $1 AND word < $2 LIMIT $3) AS first_ones`, term, afterWords(term), limit)
			if err != nil {
				return err
			}
			words[term], rarest = n, min(rarest, n)
		}
		if rarest < limit {
			break
		}
	}
	slices.SortStableFunc(terms, func(a, b string) int { return words[a] - words[b] })
	return nil
}

// ranges are the words that begin as the first n terms do, each from and to;
// "" for those that are not there.
func ranges(terms []string, n int) []any {
	args := make([]any, 0, 2*n)
	for i := range n {
		if i < len(terms) {
			args = append(args, terms[i], afterWords(terms[i]))
		} else {
			args = append(args, "", "")
		}
	}
	return args
}

// amongWords is the pattern for a term among all words of an account; that for
// a term that is not there lets all pass.
func amongWords(terms []string, i int) string {
	if i >= len(terms) {
		return "%"
	}
	return "% " + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(terms[i]) + "%"
}

// afterWords is behind all words that begin with term.
func afterWords(term string) string { return term + "\U0010FFFF" }

// foundAt is the place of an account among the words.
type foundAt struct{ word, username, account, organisation, before, all string }

// wordBehind is where the account is found that a page begins behind. That of
// the first is the term itself: PostgreSQL begins to read there, whatever else
// bounds the words.
func (r reader) wordBehind(ctx context.Context, after account.ID, term string) (foundAt, error) {
	if after == "" {
		return foundAt{word: term}, nil
	}
	return one(ctx, r.q, account.ErrNotFound, func(rows row) (at foundAt, err error) {
		return at, rows.Scan(&at.word, &at.username)
	}, `SELECT word, word_username FROM account_word WHERE word_account = $1 AND word >= $2 AND word < $3 ORDER BY word LIMIT 1`,
		string(after), term, afterWords(term))
}

// writeWords keeps what an account is found by. Where nothing of that has
// changed it writes nothing.
func writeWords(ctx context.Context, q querier, a account.Account) error {
	places := placesOf(a)
	same, err := list(ctx, q, func(rows row) (at foundAt, err error) {
		return at, rows.Scan(&at.word, &at.username, &at.account, &at.organisation, &at.before, &at.all)
	}, `SELECT word, word_username, word_account, word_organisation, word_before, word_all FROM account_word WHERE word_account = $1 ORDER BY word`, string(a.ID))
	if err != nil || slices.Equal(same, places) {
		return err
	}
	if err := dropWords(ctx, q, a.ID); err != nil {
		return err
	}
	return insertWords(ctx, q, places)
}

// insertWords inserts places in the order in which they are kept, so that
// neighbours are written together.
func insertWords(ctx context.Context, q querier, places []foundAt) error {
	slices.SortFunc(places, func(a, b foundAt) int {
		return cmp.Or(cmp.Compare(a.word, b.word), cmp.Compare(a.username, b.username), cmp.Compare(a.account, b.account))
	})
	rows := &manyRows{table: "account_word", columns: "word, word_username, word_account, word_organisation, word_before, word_all"}
	for _, at := range places {
		rows.add(at.word, at.username, at.account, at.organisation, at.before, at.all)
	}
	return rows.later(ctx, q)
}

// placesOf are all places where an account is found, in their order.
func placesOf(a account.Account) []foundAt {
	words := a.Words()
	all, before := " "+strings.Join(words, " "), ""
	places := make([]foundAt, len(words))
	for i, word := range words {
		places[i] = foundAt{word, account.FoldUsername(a.Username), string(a.ID), a.Organisation, before, all}
		before = word
	}
	return places
}

func dropWords(ctx context.Context, q querier, id account.ID) error {
	_, err := q.exec(ctx, `DELETE FROM account_word WHERE word_account = $1`, string(id))
	return err
}

// fillWords is the part of a migration that SQL cannot do: it writes the words
// of all accounts there are. It reads columns of that step's schema only.
func fillWords(ctx context.Context, q querier) error {
	var last account.Account
	for {
		page, err := list(ctx, q, func(rows row) (a account.Account, err error) {
			return a, rows.Scan(&a.ID, &a.Username, &a.Name, &a.Email, &a.Organisation)
		}, `SELECT id, username, full_name, email, organisation FROM account WHERE id > $1 ORDER BY id LIMIT 1000`, string(last.ID))
		if err != nil || len(page) == 0 {
			return err
		}
		for _, a := range page {
			if err := writeWords(ctx, q, a); err != nil {
				return err
			}
		}
		last = page[len(page)-1]
	}
}
