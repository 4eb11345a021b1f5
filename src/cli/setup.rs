//! From the configuration to what the stages need.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::build::{self, Login};
use crate::config::{self, Config};
use crate::feeds::Index;
use crate::model::event::Event;
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
