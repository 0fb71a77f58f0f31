package operation

import "context"

// NameInput is what `legacy confirm` asks with.
type NameInput struct {
	Name   string `json:"name"`
	Source string `json:"source,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// NameView is the name that was confirmed.
type NameView struct {
	Name      string `json:"name"`
	Confirmed bool   `json:"confirmed"`
}

// LegacyConfirm lets a submitted name lead to another account.
var LegacyConfirm = define("legacy/confirm", func(ctx context.Context, p Place, in NameInput) (NameView, error) {
	err := p.People.ConfirmName(ctx, p.Actor, in.Source, in.Name, in.Reason)
	return NameView{Name: in.Name, Confirmed: err == nil}, err
})
