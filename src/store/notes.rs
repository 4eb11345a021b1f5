//! What a night's report says beside its images.

use serde::{Deserialize, Serialize};

use super::column::{decode, encode, key};
use super::{Error, Result, Store};
use crate::model::plan::Outside;
use crate::model::statement::StatementCheck;

/// The part of a night's report that belongs to no single image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NightNotes {
    /// Statements that are invalid or name no image.
    pub statements: Vec<StatementCheck>,
    /// Outside bases.
    pub outside: Vec<Outside>,
    /// One line for each policy rule in force.
    pub policy: Vec<String>,
    /// What people should know.
    pub remarks: Vec<String>,
}

impl Store {
    /// Keeps the notes of a night; a second call replaces them.
    ///
    /// # Errors
    /// [`Error::UnknownNight`], [`Error::Ledger`].
    pub async fn set_notes(&self, night: &str, notes: &NightNotes) -> Result<()> {
        let mut tx = self.begin().await?;
        let changed = sqlx::query("UPDATE nights SET notes = $1 WHERE id = $2")
            .bind(encode("nights.notes", notes)?)
            .bind(key(night))
            .execute(tx.conn())
            .await?
            .rows_affected();
        if changed == 0 {
            return Err(Error::UnknownNight { night: night.to_owned() });
        }
        tx.commit().await
    }

    /// The notes of a night; empty ones where it has none.
    ///
    /// # Errors
    /// [`Error::UnknownNight`], [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn notes_of(&self, night: &str) -> Result<NightNotes> {
        let row: Option<(Option<String>,)> =
            sqlx::query_as("SELECT notes FROM nights WHERE id = $1")
                .bind(key(night))
                .fetch_optional(&self.pool)
                .await?;
        match row {
            None => Err(Error::UnknownNight { night: night.to_owned() }),
            Some((None,)) => Ok(NightNotes::default()),
            Some((Some(text),)) => decode(&text, || format!("nights.notes of {night}")),
        }
    }
}
