//! Where the ledger keeps its books: in memory, or in a SQLite file that several processes share.
//!
//! `LEDGER_URL` chooses: `memory:`, the default, or `sqlite:PATH`. Whatever is booked has a reference,
//! and is booked once for it: a delivery that comes again changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};

use crate::billing::{Booked, Booking};
use crate::money::{Currency, Money};

/// Books of accounts.
pub struct LedgerStore(Box<dyn Books>);

/// What a store of books can do.
trait Books: Send + Sync {
    fn book(&self, reference: &str, account: &str, booking: Booking) -> Result<(), LedgerError>;
    fn balance(&self, account: &str) -> Result<BTreeMap<Currency, i64>, LedgerError>;
    fn accounts(&self) -> Result<BTreeSet<String>, LedgerError>;
    fn booked(&self) -> Result<Booked, LedgerError>;
}

impl LedgerStore {
    /// The store that `LEDGER_URL` names.
    ///
    /// # Errors
    ///
    /// If it names none, or the file cannot be opened.
    pub fn from_env() -> Result<Self, LedgerError> {
        let url = std::env::var("LEDGER_URL").unwrap_or_else(|_| "memory:".to_owned());
        match url.split_once(':') {
            Some(("memory", _)) => Ok(Self::memory()),
            Some(("sqlite", path)) => Self::sqlite(path),
            _ => {
                Err(LedgerError(format!("LEDGER_URL is `{url}`; write `memory:` or `sqlite:PATH`")))
            }
        }
    }

    /// Books that end with the process.
    pub fn memory() -> Self {
        Self(Box::<Memory>::default())
    }

    /// Books in a file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn sqlite(path: &str) -> Result<Self, LedgerError> {
        Ok(Self(Box::new(Sqlite::open(path)?)))
    }

    /// Books an amount on an account, once for each reference.
    pub fn book(
        &self,
        reference: &str,
        account: &str,
        booking: Booking,
    ) -> Result<(), LedgerError> {
        self.0.book(reference, account, booking)
    }

    /// What an account has been billed, in each currency that it was billed in.
    pub fn balance(&self, account: &str) -> Result<Vec<Money>, LedgerError> {
        let balances = self.0.balance(account)?;
        Ok(balances.into_iter().map(|(currency, cents)| Money { cents, currency }).collect())
    }

    /// Every account by name.
    pub fn accounts(&self) -> Result<BTreeSet<String>, LedgerError> {
        self.0.accounts()
    }

    /// How much was booked.
    pub fn booked(&self) -> Result<Booked, LedgerError> {
        self.0.booked()
    }
}

/// The balance after a booking.
fn after(cents: i64, booking: Booking, account: &str) -> Result<i64, LedgerError> {
    let sum = match booking {
        Booking::Invoice(money) => cents.checked_add(money.cents),
        Booking::Chargeback(money) => cents.checked_sub(money.cents),
    };
    sum.ok_or_else(|| LedgerError(format!("the account `{account}` has more than can be counted")))
}

#[derive(Default)]
struct Memory(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    balances: BTreeMap<(String, Currency), i64>,
    references: HashSet<String>,
    booked: Booked,
}

impl Books for Memory {
    fn book(&self, reference: &str, account: &str, booking: Booking) -> Result<(), LedgerError> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.references.contains(reference) {
            return Ok(());
        }
        let balance =
            pages.balances.entry((account.to_owned(), booking.money().currency)).or_default();
        *balance = after(*balance, booking, account)?;
        pages.references.insert(reference.to_owned());
        match booking {
            Booking::Invoice(_) => pages.booked.invoices += 1,
            Booking::Chargeback(_) => pages.booked.chargebacks += 1,
        }
        Ok(())
    }

    fn balance(&self, account: &str) -> Result<BTreeMap<Currency, i64>, LedgerError> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |currency| Some((currency, *pages.balances.get(&(account.to_owned(), currency))?));
        Ok(Currency::ALL.into_iter().filter_map(of).collect())
    }

    fn accounts(&self) -> Result<BTreeSet<String>, LedgerError> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pages.balances.keys().map(|(account, _)| account.clone()).collect())
    }

    fn booked(&self) -> Result<Booked, LedgerError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).booked.clone())
    }
}

struct Sqlite(Mutex<Connection>);

impl Sqlite {
    fn open(path: &str) -> Result<Self, LedgerError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(30))?;
        // Readers and a writer side by side; what is committed survives the death of a process. The
        // file remembers it, so it is enough if one of several processes that start at once succeeds.
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            set => set?,
        }
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS bookings (
                 reference TEXT PRIMARY KEY,
                 is_invoice INTEGER NOT NULL
             ) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS balances (
                 account TEXT NOT NULL,
                 currency TEXT NOT NULL,
                 cents INTEGER NOT NULL,
                 PRIMARY KEY (account, currency)
             ) WITHOUT ROWID;",
        )?;
        Ok(Self(Mutex::new(connection)))
    }
}

impl Books for Sqlite {
    fn book(&self, reference: &str, account: &str, booking: Booking) -> Result<(), LedgerError> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Reserved at once, so that two processes cannot both read before either writes.
        let books = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let is_invoice = matches!(booking, Booking::Invoice(_));
        let insert = "INSERT INTO bookings VALUES (?1, ?2)";
        match books.execute(insert, params![reference, is_invoice]) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                return Ok(());
            }
            inserted => inserted?,
        };
        let currency = booking.money().currency.to_string();
        let select = "SELECT cents FROM balances WHERE account = ?1 AND currency = ?2";
        let cents = books.query_row(select, params![account, currency], |row| row.get(0));
        let cents = after(cents.optional()?.unwrap_or(0), booking, account)?;
        let upsert = "INSERT OR REPLACE INTO balances VALUES (?1, ?2, ?3)";
        books.execute(upsert, params![account, currency, cents])?;
        Ok(books.commit()?)
    }

    fn balance(&self, account: &str) -> Result<BTreeMap<Currency, i64>, LedgerError> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let select = "SELECT cents FROM balances WHERE account = ?1 AND currency = ?2";
        let mut balances = BTreeMap::new();
        for currency in Currency::ALL {
            let row = params![account, currency.to_string()];
            let cents = connection.query_row(select, row, |row| row.get(0)).optional()?;
            balances.extend(cents.map(|cents| (currency, cents)));
        }
        Ok(balances)
    }

    fn accounts(&self) -> Result<BTreeSet<String>, LedgerError> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut select = connection.prepare("SELECT DISTINCT account FROM balances")?;
        let accounts = select.query_map([], |row| row.get(0))?;
        Ok(accounts.collect::<rusqlite::Result<_>>()?)
    }

    fn booked(&self) -> Result<Booked, LedgerError> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let select =
            "SELECT COUNT(*) FILTER (WHERE is_invoice), COUNT(*) FILTER (WHERE NOT is_invoice)
                      FROM bookings";
        let counts = connection
            .query_row(select, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        // Counts are never negative.
        let [invoices, chargebacks] = [counts.0, counts.1].map(i64::unsigned_abs);
        Ok(Booked { invoices, chargebacks })
    }
}

/// Why something cannot be booked or looked up.
#[derive(Debug)]
pub struct LedgerError(String);

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self(format!("the ledger's file: {error}"))
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for LedgerError {}
