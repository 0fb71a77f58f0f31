package operation

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
)

// RestoredInput is what `store restored` asks with.
type RestoredInput struct {
	Reason string `json:"reason,omitempty"`
}

// RestoredView is what went.
type RestoredView struct {
	// CodeLists counts the lists of backup codes and the temporary codes.
	CodeLists int64 `json:"code_lists"`
}

// StoreRestored voids what could have been spent since the backup that the
// store was brought back from. Only an operator may.
var StoreRestored = define("store/restored", func(ctx context.Context, p Place, in RestoredInput) (RestoredView, error) {
	if !p.Actor.IsOperator() {
		return RestoredView{}, &Answer{Kind: No, Text: "only an operator may say that a store was restored"}
	}
	now := time.Now()
	event := audit.Event{At: now.UTC(), Name: audit.StoreRestored, Actor: commandActor, Outcome: "success"}
	if in.Reason != "" {
		event.Detail = []audit.Field{{Key: "reason", Value: in.Reason}}
	}
	codes, err := p.Store.VoidSpendable(ctx, now, event)
	if err != nil {
		return RestoredView{}, fmt.Errorf("store restored: %w", err)
	}
	return RestoredView{CodeLists: codes}, nil
})
