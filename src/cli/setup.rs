//! From the configuration to what the stages need.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::Usage;
use crate::build::{self, Login};
use crate::config::{self, Config};
use crate::feeds::Index;
use crate::model::event::Event;
use crate::model::night::Night;
use crate::model::pipeline::Pipeline;
use crate::night::{Context, Mailing};
use crate::report::transport::{Options, Transport};
use crate::scan::secrets::Secrets;
use crate::store::{Blobs, Store};

/// The ledger and the content store beside it.
pub async fn ledger(config: &Config) -> anyhow::Result<(Store, Blobs)> {
    fs::create_dir_all(&config.data)
        .with_context(|| format!("cannot make the data folder {}", config.data.display()))?;
    let store = Store::open(&config.database()?).await?;
    let blobs = Blobs::open(&config.data.join("blobs"))?;
    Ok((store, blobs))
}

/// Everything for the nights of a pipeline.
pub async fn night(
    config: &Config,
    pipeline: Pipeline,
    events: UnboundedSender<Event>,
    cancel: CancellationToken,
) -> anyhow::Result<Context> {
    let (store, blobs) = ledger(config).await?;
    let source_credentials =
        pipeline.source.credentials.as_deref().map(config::credentials).transpose()?;
    let mut input_credentials = BTreeMap::new();
    for (id, spec) in &pipeline.build.credentials {
        input_credentials.insert(id.clone(), config::credentials(spec)?);
    }
    Ok(Context {
        data: config.data.clone(),
        store,
        blobs,
        docker_host: config.docker_host(),
        logins: logins(config),
        feeds: feeds(config)?,
        secrets: Arc::new(Secrets::new()?),
        clock: config.clock,
        user: config.user.clone(),
        source_credentials,
        input_credentials,
        mailing: mailing(config),
        events,
        cancel,
        pipeline,
    })
}

/// The night of a pipeline whose id is `prefix` or alone begins with it.
pub async fn night_of(store: &Store, pipeline: &str, prefix: &str) -> anyhow::Result<Night> {
    if let Some(night) = store.night(prefix).await?.filter(|night| night.pipeline == pipeline) {
        return Ok(night);
    }
    let nights = store.history(pipeline, 10_000).await?;
    only(nights, pipeline, prefix).map_err(anyhow::Error::from)
}

fn only(nights: Vec<Night>, pipeline: &str, prefix: &str) -> Result<Night, Usage> {
    let begins = |night: &Night| !prefix.is_empty() && night.id.starts_with(prefix);
    let mut found: Vec<Night> = nights.into_iter().filter(begins).collect();
    match (found.pop(), found.last()) {
        (Some(night), None) => Ok(night),
        (Some(last), Some(other)) => Err(Usage(format!(
            "{} nights of {pipeline} begin with {prefix}, {} and {} among them; give more of the id",
            found.len() + 1,
            last.id,
            other.id
        ))),
        (None, _) => Err(Usage(format!(
            "no night {prefix} of {pipeline}; `midwatch history {pipeline}` lists them"
        ))),
    }
}

/// The advisory data, where any was imported.
pub fn feeds(config: &Config) -> anyhow::Result<Option<Arc<Index>>> {
    Ok(Index::open(&config.data.join("feeds"))?.map(Arc::new))
}

/// How mails are made.
pub fn mailing(config: &Config) -> Mailing {
    let mail = &config.file.mail;
    let address = mail.from.trim_end_matches('>');
    let domain = address.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    Mailing {
        from: mail.from.clone(),
        domain: domain.to_owned(),
        give_up: chrono::Duration::hours(mail.give_up_hours as i64),
        administrator: mail.administrator.clone(),
    }
}

/// How mails leave the house.
pub fn transport(config: &Config) -> anyhow::Result<Transport> {
    let mail = &config.file.mail;
    let credentials = match (&mail.user, &mail.password) {
        (Some(user), Some(password)) => Some((user.clone(), config::secret(password)?)),
        (None, None) => None,
        _ => anyhow::bail!("mail.user and mail.password come together: give both or none"),
    };
    let options = Options { root_certificate: mail.ca_file.clone(), ..Options::default() };
    Ok(Transport::new(&mail.transport, config.data.join("mail"), credentials, &options)?)
}

/// A token that Ctrl-C and SIGTERM cancel; the second signal ends the program at once.
pub fn stopped_by_signals() -> anyhow::Result<CancellationToken> {
    let cancel = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = cancel.clone();
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if again {
                std::process::exit(1);
            }
            eprintln!("stopping; what is done is kept (once more to stop at once)");
            stop.cancel();
        }
    });
    Ok(cancel)
}

fn logins(config: &Config) -> BTreeMap<String, Login> {
    let Some(path) = &config.docker_auth else { return BTreeMap::new() };
    match fs::read_to_string(path) {
        Ok(text) => build::logins(&text),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "no registry credentials");
            BTreeMap::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::night::NightKind;
    use crate::store::NewNight;

    #[tokio::test]
    async fn a_night_goes_by_the_beginning_of_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let url = Store::sqlite_url(&folder.path().join("ledger.db"));
        let store = Store::open(&url).await.unwrap();
        for (id, pipeline) in [("20261122T0-a", "p"), ("20261122T0-ab", "p"), ("20261123", "q")] {
            let night = NewNight {
                id: id.into(),
                pipeline: pipeline.into(),
                kind: NightKind::Manual,
                started: chrono::DateTime::UNIX_EPOCH,
                epoch: String::new(),
                requested: Vec::new(),
                with_dependants: false,
                requested_by: None,
            };
            store.open_night(&night).await.unwrap();
        }
        let id = async |prefix: &str| night_of(&store, "p", prefix).await.map(|night| night.id);
        assert_eq!(id("20261122T0-a").await.unwrap(), "20261122T0-a");
        assert_eq!(id("20261122T0-ab").await.unwrap(), "20261122T0-ab");
        for (prefix, said) in [("2026", "2 nights"), ("20261123", "no night"), ("", "no night")] {
            let error = id(prefix).await.unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().starts_with(said), "{error}");
        }
    }
}
