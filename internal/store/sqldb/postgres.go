package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/stepgate/stepgate/internal/session"
)

const (
	// Connections of one node. Reading has its own, so that writers who wait
	// for a lock do not keep the feed from being read.
	postgresWriters = 12
	postgresReaders = 8
	// stepTimeout bounds each step of a write transaction: its beginning and
	// its commit do not listen to the caller's context, and a caller may have
	// no deadline. A transaction of many steps takes as long as they take.
	stepTimeout = 30 * time.Second
	// readTimeout bounds a read outside of transactions: a server behind a
	// broken wire answers nothing at all.
	readTimeout = 15 * time.Second
	// writeAttempts is how often a transaction that ran into another is
	// tried.
	writeAttempts = 10
)

// moveHeadLoudly is moveHead, and tells those who listen once the transaction
// is kept. A volatile function in FROM is run even where nothing reads it.
const moveHeadLoudly = `UPDATE feed_head SET seq = seq + $1
	FROM (SELECT pg_notify('` + feedChannel + `', '')) AS told RETURNING seq`

// feedChannel is what nodes listen to. All stores of a database share it; one
// that hears of another's change looks into its own feed and finds nothing.
const feedChannel = "stepgate_feed"

// postgres is the engine of a store on a server that several nodes share.
type postgres struct {
	store            *DB
	config           *pgx.ConnConfig
	writers, readers *sql.DB
	// pooled is set where a pooler stands between, such as pgbouncer: one
	// connection of ours may be a different one of the server's in each
	// transaction, which then has to bring its settings along.
	pooled bool
	// step is stepTimeout, but in tests.
	step time.Duration

	// inTurn has those come who want to write in turn.
	inTurn chan *caller
	// ended is closed when nobody is let write any more.
	ended chan struct{}

	// writing is held shared by who writes, and by close.
	writing sync.RWMutex
	closed  bool
}

// errDSN does not repeat the DSN: it may hold a password.
var errDSN = errors.New("the DSN cannot be read; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full")

// errPlain is for a connection that may be in plain text, which nobody said.
var errPlain = errors.New("the server is another machine, and without sslmode the connection may be in plain text; add sslmode=verify-full (and sslrootcert), or sslmode=disable to say that it may")

// CheckDSN refuses a DSN that would go to another host in plain text without
// saying so. It opens nothing; what cannot be read is refused when it is
// opened.
func CheckDSN(dsn string) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil
	}
	if sslmode.MatchString(dsn) || os.Getenv("PGSSLMODE") != "" {
		return nil
	}
	plain := config.TLSConfig == nil && !near(config.Host)
	for _, fallback := range config.Fallbacks {
		plain = plain || fallback.TLSConfig == nil && !near(fallback.Host)
	}
	if plain {
		return errPlain
	}
	return nil
}

var sslmode = regexp.MustCompile(`(?i)\bsslmode\s*=`)

// near tells whether a host is this machine: a socket's folder or the loopback.
func near(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// OpenPostgres opens the store that the DSN leads to (a URL, or the
// key=value form), or makes one in its schema. Commits wait for the server's
// disk even where the server's default is that they do not. ErrNewer is for a
// store of a later version. Errors do not repeat the DSN.
func OpenPostgres(ctx context.Context, dsn string, o Options) (*DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("open postgres store: %w", errDSN)
	}
	pooled, err := meetPooler(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open postgres store: %w", err)
	}
	writers := openPool(config, postgresWriters, pooled)
	m := migrator{db: writers, files: steps("postgres"), fill: fills, lock: func(ctx context.Context, q querier) error {
		return lockPostgres(ctx, q, "migration")
	}}
	if err := m.run(ctx); err != nil {
		writers.Close()
		return nil, fmt.Errorf("open postgres store: %w", err)
	}
	readers := openPool(ofEachQuery(config), postgresReaders, pooled)
	db := newDB(o, &pool{
		db: readers, present: func() error { return nil }, timeout: readTimeout, watch: o.Watch,
		lost: hungUp, stale: postgresReaders, planned: plannedOnce(config),
	})
	p := &postgres{
		store: db, config: config, writers: writers, readers: readers, pooled: pooled, step: stepTimeout,
		inTurn: make(chan *caller), ended: make(chan struct{}),
	}
	go p.takeTurns()
	db.engine = p
	return db, nil
}

// PostgresExists tells whether there is a store in the schema that the DSN
// leads to.
func PostgresExists(ctx context.Context, dsn string) (bool, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return false, fmt.Errorf("look for postgres store: %w", errDSN)
	}
	pooled, err := meetPooler(ctx, config)
	if err != nil {
		return false, fmt.Errorf("look for postgres store: %w", err)
	}
	db := openPool(config, 1, pooled)
	defer db.Close()
	exists, err := one(ctx, &pool{db: db, present: func() error { return nil }}, sql.ErrNoRows, value[bool],
		`SELECT to_regclass('stepgate_migration') IS NOT NULL`)
	if err != nil {
		return false, fmt.Errorf("look for postgres store: %w", err)
	}
	return exists, nil
}

// meetPooler tells whether the server's process is another than the one that
// answered the connection: then a pooler stands between. It makes config fit
// for one that keeps no prepared statements.
func meetPooler(ctx context.Context, config *pgx.ConnConfig) (bool, error) {
	plain := config.Copy()
	plain.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, plain)
	if err != nil {
		return false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var pid uint32
	if err := conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
		return false, err
	}
	if pid == conn.PgConn().PID() {
		return false, nil
	}
	if config.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		config.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return true, nil
}

// ofEachQuery has the server plan each query for what it asks. A plan that is
// kept for all values goes through the trail of a large organisation to find
// the few events of a small one.
func ofEachQuery(config *pgx.ConnConfig) *pgx.ConnConfig {
	config = config.Copy()
	if config.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	return config
}

// plannedOnce are the queries of every sign-in and every code that find by whole
// keys: they have one plan, whatever they ask. A pooler keeps none.
func plannedOnce(config *pgx.ConnConfig) map[string]any {
	if config.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
		return nil
	}
	return map[string]any{selectByHash: pgx.QueryExecModeCacheStatement, selectCredentials: pgx.QueryExecModeCacheStatement}
}

func openPool(config *pgx.ConnConfig, connections int, pooled bool) *sql.DB {
	var options []stdlib.OptionOpenDB
	if !pooled {
		options = append(options, stdlib.OptionAfterConnect(secureSettings))
	}
	db := stdlib.OpenDB(*config, options...)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour)
	return db
}

// settings make commits durable where the server's default is not, and keep a
// node that stands still from holding locks that others wait for. $1 is whether
// they are those of one transaction.
const settings = `SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
		ELSE current_setting('synchronous_commit') END, $1),
	set_config('lock_timeout', '10s', $1),
	set_config('idle_in_transaction_session_timeout', '30s', $1)`

func secureSettings(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, settings, false)
	return err
}

// listen holds a connection of its own.
func (p *postgres) listen(ctx context.Context, heard func()) error {
	if p.pooled {
		return session.ErrCannotListen // a pooler gives the connection to others
	}
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return fmt.Errorf("listen to the feed: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `LISTEN `+feedChannel); err != nil {
		return fmt.Errorf("listen to the feed: %w", err)
	}
	for {
		heard() // what was added before somebody listened too
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return fmt.Errorf("listen to the feed: %w", err)
		}
	}
}

func (p *postgres) close() error {
	p.writing.Lock()
	if !p.closed {
		p.closed = true
		close(p.ended)
	}
	p.writing.Unlock()
	return errors.Join(p.writers.Close(), p.readers.Close())
}

func (p *postgres) write(ctx context.Context, how manner, change func(*tx) error) error {
	p.writing.RLock()
	defer p.writing.RUnlock()
	if p.closed {
		return ErrClosed
	}
	for attempt := 1; ; attempt++ {
		var err error
		if how == inTurn {
			err = p.attemptInTurn(ctx, change)
		} else {
			err = p.attempt(ctx, how, change)
		}
		if err == nil || attempt == writeAttempts || !collided(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(time.Duration(attempt) * 10 * time.Millisecond)):
		}
	}
}

// attempt runs change in a transaction of its own. Statements listen to ctx;
// begin and commit do not, so that what was committed is never reported as
// failed.
func (p *postgres) attempt(ctx context.Context, how manner, change func(*tx) error) error {
	b, err := p.begin(ctx, how)
	if err != nil {
		return fmt.Errorf("begin to write: %w", err)
	}
	defer b.leave()
	if err := b.newTx(b.statements()).run(ctx, change); err != nil {
		return err
	}
	return b.commit()
}

// begun is a transaction on a connection of its own.
type begun struct {
	p    *postgres
	conn *sql.Conn
	tx   *sql.Tx
	// whole ends when a step takes too long.
	whole  context.Context
	cancel context.CancelFunc
	late   *time.Timer
}

// begin opens a transaction. ctx is for the wait for a connection. One that is
// at its end costs nothing, for nothing has been changed by it.
func (p *postgres) begin(ctx context.Context, how manner) (*begun, error) {
	for left := postgresWriters; ; left-- {
		b, err := p.beginOn(ctx, how)
		if err == nil || left <= 0 || !hungUp(err) {
			return b, err
		}
	}
}

// beginOn is begin on one connection.
func (p *postgres) beginOn(ctx context.Context, how manner) (*begun, error) {
	conn, err := p.writers.Conn(ctx)
	if err != nil {
		return nil, err
	}
	b := &begun{p: p, conn: conn}
	b.whole, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	b.late = time.AfterFunc(p.step, b.cancel)
	if b.tx, err = conn.BeginTx(b.whole, &sql.TxOptions{Isolation: sql.LevelReadCommitted}); err != nil {
		b.leave()
		return nil, err
	}
	st := b.statements()
	if p.pooled {
		err = st.later(b.whole, settings, true)
	}
	if err == nil && how == lazily { // what is flushed later, for a commit that waits, is behind it in one log
		err = st.later(b.whole, `SET LOCAL synchronous_commit = off`)
	}
	if err == nil && how == inTurn {
		err = lockPostgres(b.whole, st, lockUpdates)
	}
	if err == nil && how == inTurn {
		err = st.later(b.whole, beginTurn)
	}
	if err == nil {
		err = st.flush(b.whole)
	}
	if err != nil {
		b.leave()
		return nil, err
	}
	return b, nil
}

func (b *begun) statements() *statements {
	return &statements{tx: b.tx, conn: b.conn, begins: func() { b.late.Reset(b.p.step) }}
}

func (b *begun) newTx(st *statements) *tx {
	lock := func(ctx context.Context, name string) error { return lockPostgres(ctx, st, name) }
	return b.p.store.newTx(st, lock, moveHeadLoudly)
}

func (b *begun) commit() error {
	b.late.Reset(b.p.step)
	if err := b.tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// leave gives the connection back, and gives up what was not committed.
func (b *begun) leave() {
	if b.tx != nil {
		b.tx.Rollback() // nothing after the commit
	}
	b.late.Stop()
	b.cancel()
	b.conn.Close()
}

// lockPostgres waits until nobody else holds the name, and holds it until the
// transaction ends. Two names with one number only wait needlessly.
func lockPostgres(ctx context.Context, q querier, name string) error {
	sum := sha256.Sum256([]byte("stepgate " + name))
	if err := q.later(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(binary.BigEndian.Uint64(sum[:8]))); err != nil {
		return fmt.Errorf("wait for %s: %w", name, err)
	}
	return nil
}
