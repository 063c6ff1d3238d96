// SPDX-License-Identifier: Apache-2.0
//! The database. All SQL of the product is in this folder, one text for both engines.
//!
//! Reads take `&Db`, writes take `&mut Tx`. A statement is a `const` beside its one
//! function; a test prepares each of them on SQLite and on PostgreSQL.

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    PgPool, Postgres, Sqlite, SqlitePool, Transaction,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// Runs one expression for whichever engine `$x` is: `on!(Db, db, c => …)` with `c` a
/// pool, `on!(Tx, tx, c => …)` with `c` a transaction.
macro_rules! on {
    ($of:ident, $x:expr, $c:ident => $body:expr) => {
        match $x {
            $crate::store::$of::Sqlite($c, ..) => $body,
            $crate::store::$of::Postgres($c) => $crate::store::in_time(async { $body }).await,
        }
    };
}

pub mod accounts;
pub mod audit;
pub mod blobs;
pub mod catalogue;
pub mod certificates;
pub mod changes;
pub mod contents;
pub mod counters;
mod durable;
pub mod epochs;
pub mod feed;
pub mod identities;
pub mod integrity;
pub mod jobs;
pub mod lifecycle;
pub mod log;
pub mod manifests;
pub mod members;
pub mod names;
pub mod namespaces;
pub mod packages;
pub mod pending;
pub mod proofs;
pub mod repositories;
pub mod retention;
pub mod reviews;
pub mod rules;
pub mod sessions;
pub mod settings;
pub mod signatures;
pub mod snapshot;
pub mod tags;
pub mod tokens;
pub mod transfers;
pub mod trust;
pub mod trusted_publishers;
pub mod uploads;
pub mod upstreams;
pub mod visible;
pub mod webhooks;

pub use durable::Writes;

/// How long a writer waits for another before it gives up.
const BUSY: Duration = Duration::from_secs(20);
/// How many connections read at the same time.
const READERS: u32 = 8;
/// How soon it is noticed that another process has written to a SQLite database.
const NOTICE: Duration = Duration::from_millis(500);

/// How long PostgreSQL may take for one statement, or to give a connection.
const PATIENCE: Duration = Duration::from_secs(10);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../schema/migrations");

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum StoreError {
    /// The database cannot be opened or reached.
    #[error("database {place} cannot be opened: {source}")]
    Connect { place: String, source: sqlx::Error },
    /// The directory of the database cannot be used.
    #[error("database {place} cannot be opened: {source}")]
    Open {
        place: String,
        source: std::io::Error,
    },
    /// The tables cannot be brought to this release's form.
    #[error("database {place} cannot be brought to this release's tables: {source}")]
    Migrate {
        place: String,
        source: sqlx::migrate::MigrateError,
    },
    /// A statement failed, or the database went away.
    #[error("the database refused a statement: {0}")]
    Statement(#[from] sqlx::Error),
    /// A sync failed, so that nobody knows what is on the disk.
    #[error(
        "the disk did not confirm a write to the database; the registry takes no more writes until it is restarted"
    )]
    Unsafe,
    /// A cell holds what this release cannot have written.
    #[error("table {table} has `{value}` in column {column}, which is not possible: {reason}")]
    Corrupt {
        table: &'static str,
        column: &'static str,
        value: String,
        reason: String,
    },
}

/// SQLite's codes for a sync of a file, and of a directory, that failed.
const FAILED_SYNC: [&str; 2] = ["1034", "1290"];
/// The codes of SQLite and PostgreSQL for a full disk.
const FULL: [&str; 2] = ["13", "53100"];

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| codes.contains(&code.as_ref()))
}

/// Gives a statement on PostgreSQL up after a while: a server that hangs answers nothing,
/// not even that it is slow.
async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "PostgreSQL does not answer",
        ))),
    }
}

/// An open database.
#[derive(Debug, Clone)]
pub enum Db {
    /// SQLite: a pool that reads, the one connection that writes, and what it wrote.
    Sqlite(SqlitePool, SqlitePool, Arc<Writes>),
    /// PostgreSQL.
    Postgres(PgPool),
}

/// A write transaction; dropped without [`Tx::commit`], it never happened.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite, with what happened to its writes, and whether its end waits for the disk.
    Sqlite(Transaction<'static, Sqlite>, Arc<Writes>, bool),
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
}

impl Db {
    /// Opens the SQLite database at `path`, made if absent, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Connect`] or [`StoreError::Migrate`] with the path.
    pub async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        let place = path.display().to_string();
        let connect = |source| StoreError::Connect {
            place: place.clone(),
            source,
        };
        let open = |source| StoreError::Open {
            place: place.clone(),
            source,
        };
        // With NORMAL a commit does not wait for the disk: what must be durable waits for it
        // in `Writes::flush`, together with others.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(connect)?;
        MIGRATIONS
            .run(&writer)
            .await
            .map_err(|source| StoreError::Migrate {
                place: place.clone(),
                source,
            })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.create_if_missing(false))
            .await
            .map_err(connect)?;
        let log = Writes::of(path).map_err(open)?;
        Ok(Self::Sqlite(readers, writer, Arc::new(log)))
    }

    /// Connects to PostgreSQL at `url` and brings the tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Connect`] or [`StoreError::Migrate`]; neither shows the URL, which
    /// may hold a password.
    pub async fn postgres(url: &str) -> Result<Self, StoreError> {
        let place = "PostgreSQL".to_owned();
        let pool = PgPoolOptions::new()
            .max_connections(READERS * 2)
            .acquire_timeout(PATIENCE)
            .connect(url)
            .await
            .map_err(|source| StoreError::Connect {
                place: place.clone(),
                source,
            })?;
        MIGRATIONS
            .run(&pool)
            .await
            .map_err(|source| StoreError::Migrate { place, source })?;
        Ok(Self::Postgres(pool))
    }

    /// Begins a write. On SQLite `begin immediate`: a transaction that reads first and
    /// writes later would otherwise fail when another wrote in between.
    ///
    /// # Errors
    /// [`StoreError::Statement`] if no connection is free in time.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        self.begin_as("begin", true).await
    }

    /// Begins a write that a loss of power may undo until the next write that
    /// [`Db::begin`] began is committed: it survives the end of the process, but does not
    /// wait for the disk. For what nobody was promised, such as an upload just begun.
    ///
    /// # Errors
    /// [`StoreError::Statement`] if no connection is free in time.
    pub async fn begin_relaxed(&self) -> Result<Tx, StoreError> {
        self.begin_as("begin; set local synchronous_commit = off", false)
            .await
    }

    async fn begin_as(&self, postgres: &'static str, durable: bool) -> Result<Tx, StoreError> {
        const SQLITE: &str = "begin immediate";
        Ok(match self {
            Self::Sqlite(..) if !self.writable() => return Err(StoreError::Unsafe),
            Self::Sqlite(_, pool, writes) => {
                let tx = match pool.begin_with(SQLITE).await {
                    // A full disk makes SQLite end a transaction by itself, and the one
                    // connection that writes then believes that it is still in it.
                    Err(sqlx::Error::Database(_) | sqlx::Error::InvalidSavePointStatement) => {
                        pool.acquire().await?.close().await?;
                        pool.begin_with(SQLITE).await?
                    }
                    begun => begun?,
                };
                Tx::Sqlite(tx, writes.clone(), durable)
            }
            Self::Postgres(pool) => Tx::Postgres(in_time(pool.begin_with(postgres)).await?),
        })
    }

    /// How often the database was written: what was read at one number is still so at the
    /// same number. `None` where other processes write too and nobody here can know.
    pub fn commits(&self) -> Option<u64> {
        match self {
            Self::Sqlite(_, _, writes) => Some(writes.commits()),
            Self::Postgres(_) => None,
        }
    }

    /// Looks for what other processes write to a SQLite database, as `bpfpkg-registry gc`
    /// does beside a running registry, and counts it among the [commits](Self::commits). What
    /// this process wrote itself is counted once more, which only makes it read again. Ends
    /// when the database is closed, and at once where there is no count.
    ///
    /// # Errors
    /// [`StoreError::Statement`] if the database cannot be read.
    pub async fn notice_others(&self) -> Result<(), StoreError> {
        const VERSION: &str = "pragma data_version";
        let Self::Sqlite(readers, _, writes) = self else {
            return Ok(());
        };
        // The number is one connection's own: it changes when another has written.
        let mut connection = readers.acquire().await?;
        let mut seen: i64 = sqlx::query_scalar(VERSION)
            .fetch_one(&mut *connection)
            .await?;
        while !readers.is_closed() {
            tokio::time::sleep(NOTICE).await;
            let now = sqlx::query_scalar(VERSION)
                .fetch_one(&mut *connection)
                .await?;
            if now != std::mem::replace(&mut seen, now) {
                writes.count();
            }
        }
        Ok(())
    }

    /// Whether writes are still safe.
    pub fn writable(&self) -> bool {
        match self {
            Self::Sqlite(_, _, writes) => writes.are_safe(),
            Self::Postgres(_) => true,
        }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`StoreError::Statement`] if it gives none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        const PING: &str = "select 1";
        on!(Db, self, c => sqlx::query(PING).execute(c).await.map(|_| ()))?;
        Ok(())
    }

    /// Closes all connections; what was committed is on disk.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(readers, writer, _) => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Makes the writes durable.
    ///
    /// # Errors
    /// [`StoreError::Statement`]; then none of them happened.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(match self {
            Self::Sqlite(tx, writes, durable) => {
                let done = tx.commit().await;
                // Before the writer is answered, and also if nobody knows what happened.
                let number = writes.count();
                if let Err(error) = &done
                    && has_code(error, &FAILED_SYNC)
                {
                    return Err(writes.fail(error));
                }
                if durable && done.is_ok() {
                    writes.flush(number).await?;
                }
                done
            }
            Self::Postgres(tx) => in_time(tx.commit()).await,
        }?)
    }
}

impl StoreError {
    /// Whether it failed because the disk is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Statement(error) if has_code(error, &FULL))
    }
}

/// Reads a cell that the server wrote in a checked form.
fn cell<T>(table: &'static str, column: &'static str, value: &str) -> Result<T, StoreError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    value.parse().map_err(|error: T::Err| StoreError::Corrupt {
        table,
        column,
        value: value.to_owned(),
        reason: error.to_string(),
    })
}

/// A size or count as both databases keep it.
fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A size or count as the program uses it; a constraint keeps it from being negative.
fn uncount(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
