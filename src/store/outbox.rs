//! The outbox: mails that are recorded with their night and delivered once.

use chrono::{DateTime, Utc};
use sqlx::{AnyConnection, FromRow};

use super::column::{count, inconsistent, instant, key, text, time};
use super::{Claimed, Delivery, MailState, OutboxMail, Result, Store};

/// A row of `outbox`.
#[derive(FromRow)]
struct MailRow {
    message_id: String,
    night: String,
    recipient: String,
    subject: String,
    blob: String,
    not_before: String,
    deadline: String,
    state: String,
    due: String,
    tries: i64,
    error: Option<String>,
}

/// The columns of [`MailRow`].
macro_rules! mail_columns {
    () => {
        "message_id, night, recipient, subject, blob, not_before, deadline, state, due, tries, error"
    };
}

impl MailRow {
    fn delivery(self) -> Result<(Delivery, DateTime<Utc>)> {
        let place = |column: &str| format!("outbox.{column} of {}", self.message_id);
        let at = |text: &str, column: &str| instant(text, || place(column));
        let state = match self.state.as_str() {
            "pending" => MailState::Pending,
            "sent" => MailState::Sent,
            "dead" => MailState::Dead,
            other => return Err(inconsistent(place("state"), other)),
        };
        let due = at(&self.due, "due")?;
        let mail = OutboxMail {
            not_before: at(&self.not_before, "not_before")?,
            deadline: at(&self.deadline, "deadline")?,
            message_id: self.message_id,
            night: self.night,
            recipient: self.recipient,
            subject: self.subject,
            blob: self.blob,
        };
        let tries = u32::try_from(self.tries).unwrap_or(u32::MAX);
        Ok((Delivery { mail, state, tries, error: self.error }, due))
    }
}

/// Adds mails; one whose message id is there already is the same mail and stays as it is.
pub(super) async fn insert(conn: &mut AnyConnection, mails: &[OutboxMail]) -> Result<()> {
    for mail in mails {
        sqlx::query(
            "INSERT INTO outbox (message_id, night, recipient, subject, blob, not_before, \
             deadline, state, due, tries) VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, 0) \
             ON CONFLICT DO NOTHING",
        )
        .bind(key(&mail.message_id))
        .bind(key(&mail.night))
        .bind(text(&mail.recipient))
        .bind(text(&mail.subject))
        .bind(text(&mail.blob))
        .bind(time(mail.not_before))
        .bind(time(mail.deadline))
        .bind(time(mail.not_before))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

impl Store {
    /// Adds mails outside a night's end, such as a report sent by hand; see [`Store::close_night`].
    ///
    /// # Errors
    /// [`super::Error::Ledger`], also where a mail's night is unknown.
    pub async fn enqueue(&self, mails: &[OutboxMail]) -> Result<()> {
        let mut tx = self.begin().await?;
        insert(tx.conn(), mails).await?;
        tx.commit().await
    }

    /// Takes at most `limit` mails that are due at `now`, earliest first. No other process gets
    /// them before `lease_until`; after that, a mail without news is due again.
    ///
    /// # Errors
    /// [`super::Error::Ledger`], [`super::Error::Inconsistent`].
    pub async fn claim_due(
        &self,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Claimed>> {
        // Looking first keeps an idle process from locking the ledger for writing.
        if self.next_due().await?.is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        // The condition stands twice: PostgreSQL checks the outer one again on a row that another
        // process claimed meanwhile.
        let rows: Vec<MailRow> = sqlx::query_as(concat!(
            "UPDATE outbox SET due = $1, tries = tries + 1 \
             WHERE state = 'pending' AND due <= $2 AND message_id IN (\
             SELECT message_id FROM outbox WHERE state = 'pending' AND due <= $2 \
             ORDER BY due, message_id LIMIT $3) RETURNING ",
            mail_columns!()
        ))
        .bind(time(lease_until))
        .bind(time(now))
        .bind(i64::from(limit))
        .fetch_all(tx.conn())
        .await?;
        tx.commit().await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let (delivery, lease) = row.delivery()?;
            let tries = delivery.tries.saturating_sub(1);
            claimed.push(Claimed { mail: delivery.mail, tries, lease });
        }
        claimed.sort_by(|a, b| {
            let order = |c: &Claimed| (c.mail.not_before, c.mail.message_id.clone());
            order(a).cmp(&order(b))
        });
        Ok(claimed)
    }

    /// Notes that a mail was handed over; nothing takes that back.
    ///
    /// # Errors
    /// [`super::Error::Ledger`].
    pub async fn mark_sent(&self, message_id: &str, at: DateTime<Utc>) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE outbox SET state = 'sent', sent = $1, error = NULL WHERE message_id = $2",
        )
        .bind(time(at))
        .bind(key(message_id))
        .execute(tx.conn())
        .await?;
        tx.commit().await
    }

    /// Notes that a mail could not be handed over and is due again at `next`.
    ///
    /// # Errors
    /// [`super::Error::Ledger`].
    pub async fn mark_retry(
        &self,
        message_id: &str,
        next: DateTime<Utc>,
        error: &str,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE outbox SET due = $1, error = $2 WHERE message_id = $3 AND state = 'pending'",
        )
        .bind(time(next))
        .bind(text(error))
        .bind(key(message_id))
        .execute(tx.conn())
        .await?;
        tx.commit().await
    }

    /// Gives a mail up.
    ///
    /// # Errors
    /// [`super::Error::Ledger`].
    pub async fn mark_dead(&self, message_id: &str, error: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE outbox SET state = 'dead', error = $1 \
             WHERE message_id = $2 AND state = 'pending'",
        )
        .bind(text(error))
        .bind(key(message_id))
        .execute(tx.conn())
        .await?;
        tx.commit().await
    }

    /// How many mails are neither sent nor given up.
    ///
    /// # Errors
    /// [`super::Error::Ledger`].
    pub async fn pending_count(&self) -> Result<u64> {
        let pending: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM outbox WHERE state = 'pending'")
                .fetch_one(&self.pool)
                .await?;
        Ok(count(pending))
    }

    /// When the next mail is due; `None` where none waits.
    ///
    /// # Errors
    /// [`super::Error::Ledger`], [`super::Error::Inconsistent`].
    pub async fn next_due(&self) -> Result<Option<DateTime<Utc>>> {
        let due: Option<String> =
            sqlx::query_scalar("SELECT MIN(due) FROM outbox WHERE state = 'pending'")
                .fetch_one(&self.pool)
                .await?;
        due.map(|due| instant(&due, || "outbox.due".to_owned())).transpose()
    }

    /// The mails of a night and how their delivery stands, by recipient.
    ///
    /// # Errors
    /// [`super::Error::Ledger`], [`super::Error::Inconsistent`].
    pub async fn deliveries(&self, night: &str) -> Result<Vec<Delivery>> {
        let rows: Vec<MailRow> = sqlx::query_as(concat!(
            "SELECT ",
            mail_columns!(),
            " FROM outbox WHERE night = $1 ORDER BY recipient, message_id"
        ))
        .bind(key(night))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| row.delivery().map(|(delivery, _)| delivery)).collect()
    }

    /// Stops mail to an address, whatever its case; the first reason stays.
    ///
    /// # Errors
    /// [`super::Error::Ledger`].
    pub async fn suppress(&self, address: &str, reason: &str, at: DateTime<Utc>) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO suppressed (address, reason, since) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
        )
        .bind(folded(address))
        .bind(text(reason))
        .bind(time(at))
        .execute(tx.conn())
        .await?;
        tx.commit().await
    }

    /// Whether mail to an address was stopped.
    ///
    /// # Errors
    /// [`super::Error::Ledger`].
    pub async fn is_suppressed(&self, address: &str) -> Result<bool> {
        let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM suppressed WHERE address = $1")
            .bind(folded(address))
            .fetch_one(&self.pool)
            .await?;
        Ok(found > 0)
    }
}

fn folded(address: &str) -> String {
    key(&address.trim().to_ascii_lowercase())
}
