package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
)

// maxImport is how many accounts one table may have: they are made in one
// transaction, for which others wait.
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

// checkTable drafts all rows, or reports what is wrong with them.
func (p *People) checkTable(ctx context.Context, actor Actor, rows []row) ([]drafted, error) {
	var problems []Phrase
	seen := make(map[[3]string]int, 2*len(rows))
	known := make(map[string]error)
	drafts := make([]drafted, 0, len(rows))
	for _, r := range rows {
		a, err := p.checkRow(ctx, actor, r, known)
		if err == nil {
			err = once(seen, a, r.line)
		}
		var wrong *Error
		switch {
		case errors.As(err, &wrong):
			problems = append(problems, say("line %d: %s", r.line, wrong.whole()))
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", r.line, err)
		default:
			drafts = append(drafts, drafted{line: r.line, Account: a})
		}
	}
	if len(problems) > 0 {
		return nil, tableError(problems)
	}
	return drafts, nil
}

// checkRow drafts one row. known remembers which organisations there are.
func (p *People) checkRow(ctx context.Context, actor Actor, r row, known map[string]error) (account.Account, error) {
	if r.wrong != nil {
		return account.Account{}, r.wrong
	}
	a, err := p.draft(actor, r.NewAccount)
	if err != nil {
		return account.Account{}, err
	}
	missing, asked := known[a.Organisation]
	if !asked {
		_, missing = organisation(ctx, p.Store, actor, a.Organisation)
		known[a.Organisation] = missing
	}
	if missing != nil {
		return account.Account{}, missing
	}
	if err := actor.mayGrant(a.Role); err != nil {
		return account.Account{}, err
	}
	if err := p.free(ctx, p.Store, a); err != nil {
		return a, err
	}
	return a, p.unshared(ctx, p.Store, a)
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

func (p *People) insertAll(ctx context.Context, actor Actor, drafts []drafted, reason string) error {
	return p.Store.Update(ctx, func(tx Tx) error {
		current, err := actor.refresh(ctx, tx)
		if err != nil {
			return err
		}
		for _, d := range drafts {
			if err := p.insert(ctx, tx, current, d.Account); err != nil {
				return fmt.Errorf("line %d: %w", d.line, err)
			}
			if err := p.record(ctx, tx, current, addEvent(d.Account, reason)); err != nil {
				return err
			}
		}
		return nil
	})
}

func tableError(problems []Phrase) error {
	if left := len(problems) - maxProblems; left > 0 {
		problems = append(problems[:maxProblems], say("and %d more lines", left))
	}
	return refused(Phrase{rows: problems}, Phrase{})
}
