package guest

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/caddymodule/source"
)

// made is the part of a module whose source is made of its configuration
// alone, before anything runs.
type made[S source.Source] struct{ source S }

// take keeps what was made for a directive, or says what is wrong with it.
func (m *made[S]) take(directive string, s S, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", directive, err)
	}
	m.source = s
	return nil
}

// Open implements source.Module.
func (m *made[S]) Open(context.Context, source.Opening) (source.Source, error) { return m.source, nil }
