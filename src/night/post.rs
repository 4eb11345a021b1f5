//! The post: what is due in the outbox goes out, each mail once, with patience.

use chrono::{DateTime, Duration, Utc};

use super::{Error, Mailing};
use crate::ambient::Clock;
use crate::model::report::Audience;
use crate::report::transport::{Sent, Transport};
use crate::report::{self, Envelope};
use crate::store::{Blobs, Claimed, OutboxMail, Store};

/// What one round of delivery did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Handed over.
    pub sent: u64,
    /// To be tried again.
    pub later: u64,
    /// Given up.
    pub dead: u64,
}

/// How long a mail that is being sent belongs to this process alone; longer than any time-out.
const LEASE_MINUTES: i64 = 10;

/// Sends everything that is due.
///
/// # Errors
/// Where the ledger or the content store cannot be used; a server that refuses is none.
pub async fn deliver(
    store: &Store,
    blobs: &Blobs,
    transport: &Transport,
    mailing: &Mailing,
    clock: Clock,
) -> Result<Delivered, Error> {
    let mut delivered = Delivered::default();
    loop {
        let now = clock.now();
        let lease = now + Duration::minutes(LEASE_MINUTES);
        let claimed = store.claim_due(now, lease, 8).await?;
        if claimed.is_empty() {
            return Ok(delivered);
        }
        let posts = claimed.iter().map(|it| post(store, blobs, transport, mailing, clock, it));
        for sent in futures_util::future::join_all(posts).await {
            match sent? {
                Fate::Sent => delivered.sent += 1,
                Fate::Later => delivered.later += 1,
                Fate::Dead => delivered.dead += 1,
            }
        }
    }
}

enum Fate {
    Sent,
    Later,
    Dead,
}

async fn post(
    store: &Store,
    blobs: &Blobs,
    transport: &Transport,
    mailing: &Mailing,
    clock: Clock,
    claimed: &Claimed,
) -> Result<Fate, Error> {
    let mail = &claimed.mail;
    let id = mail.message_id.as_str();
    if store.is_suppressed(&mail.recipient).await? {
        store.mark_dead(id, "the address was refused before").await?;
        return Ok(Fate::Dead);
    }
    let raw = blobs.get(&mail.blob)?;
    let sent = transport.send(&mailing.from, &mail.recipient, &raw, &file_name(claimed)).await;
    let now = clock.now();
    match sent {
        Sent::Accepted => {
            store.mark_sent(id, now).await?;
            Ok(Fate::Sent)
        }
        Sent::Refused { error } => {
            tracing::error!(recipient = mail.recipient, error, "mail refused; address suppressed");
            // Told first: a process that dies in between is refused again, and tells the same.
            tell_administrator(store, blobs, mailing, claimed, &error, now).await?;
            store.suppress(&mail.recipient, &error, now).await?;
            store.mark_dead(id, &error).await?;
            Ok(Fate::Dead)
        }
        Sent::Later { error } => later(store, claimed, now, &error).await,
        Sent::Unknown { error } => {
            let error = format!("it may have arrived; sent again under the same id: {error}");
            later(store, claimed, now, &error).await
        }
    }
}

/// A mail of its own, under an id that depends on the refused one, so that it is written once.
async fn tell_administrator(
    store: &Store,
    blobs: &Blobs,
    mailing: &Mailing,
    claimed: &Claimed,
    error: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let refused = &claimed.mail;
    let to = match &mailing.administrator {
        Some(to) if !to.eq_ignore_ascii_case(&refused.recipient) => to.clone(),
        _ => return Ok(()),
    };
    let subject = format!("[midwatch] no mail to {} any more", refused.recipient);
    let text = format!(
        "The mail server refused a mail for good; no more mails go to that address.\n\n\
         Address:  {}\nMail:     {}\nNight:    {}\nAnswer:   {error}\n\n\
         Correct the address in the pipeline's mail.to or in the manifests that name it.\n",
        refused.recipient, refused.subject, refused.night
    );
    let audience = Audience::Pipeline(format!("{to} {}", refused.message_id));
    let envelope = Envelope {
        from: mailing.from.clone(),
        to,
        message_id: report::message_id(&refused.night, &audience, 1, &mailing.domain),
        date: now,
        list_id: format!("administrator.midwatch.{}", mailing.domain),
        thread: None,
        night: refused.night.clone(),
        unsubscribe: None,
    };
    let raw = match report::notice(&subject, &text, &envelope) {
        Ok(raw) => raw,
        Err(error) => {
            tracing::error!(%error, "the administrator cannot be told");
            return Ok(());
        }
    };
    let notice = OutboxMail {
        message_id: envelope.message_id,
        night: envelope.night,
        recipient: envelope.to,
        subject,
        blob: blobs.put(&raw)?,
        not_before: now,
        deadline: now + mailing.give_up,
    };
    Ok(store.enqueue(std::slice::from_ref(&notice)).await?)
}

async fn later(
    store: &Store,
    claimed: &Claimed,
    now: DateTime<Utc>,
    error: &str,
) -> Result<Fate, Error> {
    let mail = &claimed.mail;
    let next = now + back_off(claimed.tries);
    if next > mail.deadline {
        tracing::error!(recipient = mail.recipient, error, "mail given up");
        store.mark_dead(&mail.message_id, &format!("too late: {error}")).await?;
        return Ok(Fate::Dead);
    }
    tracing::warn!(recipient = mail.recipient, error, %next, "mail not delivered yet");
    store.mark_retry(&mail.message_id, next, error).await?;
    Ok(Fate::Later)
}

/// 1, 2, 4 … 60 minutes.
fn back_off(tries: u32) -> Duration {
    Duration::minutes(2i64.saturating_pow(tries).min(60))
}

/// `NIGHT-recipient-digest`: sorts by night, and a resend overwrites itself.
fn file_name(claimed: &Claimed) -> String {
    let mail = &claimed.mail;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "@._-".contains(c) { c } else { '_' };
    let recipient: String = mail.recipient.chars().map(plain).collect();
    format!("{}-{recipient}-{}", mail.night, crate::model::plan::short(&mail.blob))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_to_an_hour() {
        let minutes: Vec<i64> = (0..8).map(|tries| back_off(tries).num_minutes()).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
