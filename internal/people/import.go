package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// maxImport is how many accounts one table may have: they are made in one
// transaction.
const maxImport = 20_000

// maxProblems bounds what a refused import reports.
const maxProblems = 100

// Table is an import that was asked for.
type Table struct {
	// CSV has a row of column names and then one account a row; the groups
	// of an account are separated by semicolons.
	CSV []byte
	// DryRun checks everything and keeps nothing.
	DryRun bool
	Reason string
}

// Imported is what came of a table.
type Imported struct {
	Accounts int
	// Warnings are about rows that are good and may surprise.
	Warnings []Phrase
}

// Import makes the accounts of a table. Every
// row is checked first; if any is wrong, all problems are reported and none
// is imported. The accounts are then made together: all of them or none.
func (p *People) Import(ctx context.Context, actor Actor, t Table) (Imported, error) {
	actor, err := actor.refresh(ctx, p.Store)
	if err != nil {
		return Imported{}, err
	}
	if err := actor.may(ActManage); err != nil {
		return Imported{}, err
	}
	rows, err := readTable(t.CSV)
	if err != nil {
		return Imported{}, err
	}
	if len(rows) > maxImport {
		return Imported{}, refused(say("the table has %d rows, more than %d", len(rows), maxImport), say("import it in parts"))
	}
	drafts, err := p.checkTable(ctx, actor, rows)
	if err != nil {
		return Imported{}, err
	}
	made := Imported{Accounts: len(drafts), Warnings: p.warnings(drafts)}
	if t.DryRun {
		return made, nil
	}
	if err := p.insertAll(ctx, actor, drafts, t.Reason); err != nil {
		return Imported{}, err
	}
	return made, nil
}

// warnings are about numbers that no text reaches, and names of which each
// looks like another by itself. What looks like a name that there is already
// would have to be looked up for every row.
func (p *People) warnings(drafts []drafted) []Phrase {
	var all []Phrase
	for _, d := range drafts {
		if text := p.Unreached(d.Mobile); !text.Empty() {
			all = append(all, say("line %d: %s", d.line, text))
		}
		if text := mixed(d.Username); !text.Empty() {
			all = append(all, say("line %d: %s", d.line, text))
		}
	}
	if left := len(all) - maxProblems; left > 0 {
		all = append(all[:maxProblems], say("and %d more lines", left))
	}
	return all
}

// drafted is an account that is ready to be made, and where it comes from.
type drafted struct {
	line int
	account.Account
}

// checkTable drafts all rows, or reports what is wrong with them. What it asks
// of the store it asks for all rows together.
func (p *People) checkTable(ctx context.Context, actor Actor, rows []row) ([]drafted, error) {
	drafts, wrong := make([]drafted, 0, len(rows)), make([]error, len(rows))
	for i, r := range rows {
		d := drafted{line: r.line}
		if wrong[i] = r.wrong; r.wrong == nil {
			d.Account, wrong[i] = p.draft(actor, r.NewAccount)
		}
		drafts = append(drafts, d)
	}
	others, err := readNamesakes(ctx, p.Store, drafts)
	if err != nil {
		return nil, err
	}
	var problems []Phrase
	seen, known := make(map[[3]string]int, 2*len(rows)), make(map[string]error)
	for i, d := range drafts {
		err := wrong[i]
		if err == nil {
			err = mayMake(ctx, p.Store, actor, d.Account, known)
		}
		if err == nil {
			err = p.unnamed(ctx, others, d.Account)
		}
		if err == nil {
			err = once(seen, d.Account, d.line)
		}
		var refusal *Error
		switch {
		case errors.As(err, &refusal):
			problems = append(problems, say("line %d: %s", d.line, refusal.whole()))
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", d.line, err)
		}
	}
	if len(problems) > 0 {
		return nil, tableError(problems)
	}
	return drafts, nil
}

// mayMake tells whether an actor may make an account. known remembers which
// organisations there are.
func mayMake(ctx context.Context, r Reader, actor Actor, a account.Account, known map[string]error) error {
	if err := actor.may(ActManage); err != nil {
		return err
	}
	missing, asked := known[a.Organisation]
	if !asked {
		_, missing = organisation(ctx, r, actor, a.Organisation)
		known[a.Organisation] = missing
	}
	if missing != nil {
		return missing
	}
	return actor.mayGrant(a.Role)
}

// unnamed tells whether nobody has what an account is to be known by.
func (p *People) unnamed(ctx context.Context, others namesakes, a account.Account) error {
	if err := p.free(ctx, others, a); err != nil {
		return err
	}
	return p.unshared(ctx, others, a)
}

// readAhead are the namesakes of many accounts, by source and name and by
// source and identifier.
type readAhead struct{ names, subjects map[[2]string]account.Account }

// readNamesakes reads all accounts that are in the way of some. An identifier of
// the local source is new with its account.
func readNamesakes(ctx context.Context, r Reader, drafts []drafted) (readAhead, error) {
	var names []string
	subjects := map[string][]string{}
	for _, d := range drafts {
		if d.Username == "" { // a row that is none
			continue
		}
		names = append(names, account.FoldUsername(d.Username))
		if d.Source != account.LocalSource {
			subjects[d.Source] = append(subjects[d.Source], d.Subject)
		}
	}
	read := readAhead{names: map[[2]string]account.Account{}, subjects: map[[2]string]account.Account{}}
	same, err := r.AccountsNamed(ctx, names...)
	if err != nil {
		return read, fmt.Errorf("look for the names: %w", err)
	}
	for _, a := range same {
		read.names[[2]string{a.Source, account.FoldUsername(a.Username)}] = a
	}
	for source, all := range subjects {
		same, err := r.AccountsBySubject(ctx, source, all)
		if err != nil {
			return read, fmt.Errorf("look for the identifiers: %w", err)
		}
		for _, a := range same {
			read.subjects[[2]string{a.Source, a.Subject}] = a
		}
	}
	return read, nil
}

// AccountByUsername implements namesakes.
func (r readAhead) AccountByUsername(_ context.Context, source, folded string) (account.Account, error) {
	return among(r.names, source, folded)
}

// AccountBySubject implements namesakes.
func (r readAhead) AccountBySubject(_ context.Context, source, subject string) (account.Account, error) {
	return among(r.subjects, source, subject)
}

func among(read map[[2]string]account.Account, source, name string) (account.Account, error) {
	if a, found := read[[2]string{source, name}]; found {
		return a, nil
	}
	return account.Account{}, account.ErrNotFound
}

// once refuses a name or an identifier that an earlier line has.
func once(seen map[[3]string]int, a account.Account, line int) error {
	for _, key := range [][3]string{
		{"username", a.Source, account.FoldUsername(a.Username)},
		{"subject", a.Source, a.Subject},
	} {
		if first, dup := seen[key]; dup {
			return taken(say("the %s is on line %d already", key[0], first), Phrase{})
		}
		seen[key] = line
	}
	return nil
}

// insertAll makes the accounts while others go on with their work, and then, in
// turn with them, looks whether all still holds that was checked before, and
// records it.
func (p *People) insertAll(ctx context.Context, actor Actor, drafts []drafted, reason string) error {
	accounts, events := make([]account.Account, len(drafts)), make([]audit.Event, len(drafts))
	for i, d := range drafts {
		accounts[i], events[i] = d.Account, p.signed(addEvent(d.Account, reason), actor)
	}
	return p.Store.UpdateAtLength(ctx, func(tx Tx) error {
		err := tx.InsertAccounts(ctx, accounts)
		if errors.Is(err, account.ErrTaken) {
			err = cmp.Or(p.clash(ctx, tx, drafts), err)
		}
		return err
	}, func(tx Tx) error {
		if err := p.stillMayMake(ctx, tx, actor, drafts); err != nil {
			return err
		}
		if err := tx.AppendEvents(ctx, events); err != nil {
			return fmt.Errorf("append audit events: %w", err)
		}
		return nil
	})
}

// stillMayMake looks again at what somebody else may have changed since the
// table was checked. That nobody of the same source has got one of the names
// meanwhile the store has seen to.
func (p *People) stillMayMake(ctx context.Context, tx Tx, actor Actor, drafts []drafted) error {
	current, err := actor.refresh(ctx, tx)
	if err != nil {
		return err
	}
	known := make(map[string]error)
	for _, d := range drafts {
		if err := mayMake(ctx, tx, current, d.Account, known); err != nil {
			return fmt.Errorf("line %d: %w", d.line, err)
		}
	}
	if slices.ContainsFunc(p.sources(), func(s Source) bool { return len(s.Beside) > 0 }) {
		return p.clash(ctx, tx, drafts)
	}
	return nil
}

// clash says which of the accounts has a name that is somebody else's.
func (p *People) clash(ctx context.Context, tx Tx, drafts []drafted) error {
	others, err := readNamesakes(ctx, tx, drafts)
	for _, d := range drafts {
		if err == nil {
			if err = p.unnamed(ctx, others, d.Account); err != nil {
				err = fmt.Errorf("line %d: %w", d.line, err)
			}
		}
	}
	return err
}

func tableError(problems []Phrase) error {
	if left := len(problems) - maxProblems; left > 0 {
		problems = append(problems[:maxProblems], say("and %d more lines", left))
	}
	return refused(Phrase{rows: problems}, Phrase{})
}
