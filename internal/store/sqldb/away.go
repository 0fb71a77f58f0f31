package sqldb

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Away tells whether an error of opening a store says that its server cannot
// be reached, or not yet: then to try again may help. Nothing else does.
func Away(err error) bool {
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) {
		// PostgreSQL, appendix A: connection exceptions, insufficient
		// resources, operator intervention.
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P")
	}
	var (
		dial *net.OpError
		name *net.DNSError
	)
	return errors.As(err, &dial) || errors.As(err, &name) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF)
}
