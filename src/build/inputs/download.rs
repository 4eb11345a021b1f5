//! Opens an address as a stream of bytes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::redirect::Policy;
use tokio_util::io::ReaderStream;

use super::FetchError;
use super::addresses::{Address, Place};

/// Most redirections of one request.
const REDIRECTS: usize = 5;

/// Bytes read from a file at once.
const PIECE: usize = 128 * 1024;

/// Bytes as they arrive, or what broke.
pub(super) type Pieces = BoxStream<'static, Result<Bytes, String>>;

/// The HTTP client, made when the first web address comes.
#[derive(Debug)]
pub(super) struct Client {
    timeout: Duration,
    http: Option<reqwest::Client>,
}

impl Client {
    /// With a bound on connecting and on silence.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, http: None }
    }

    /// Opens `at`.
    ///
    /// # Errors
    /// Where it is not there, answers no, or says that it is larger than `most`.
    pub(super) async fn open(
        &mut self,
        name: &str,
        at: &Address,
        most: u64,
    ) -> Result<Pieces, FetchError> {
        match &at.place {
            Place::File(path) => open_file(name, at, path).await,
            Place::Web(url, login) => {
                let http = self.http().map_err(|error| transfer(name, at, &error, false))?;
                let mut request = http.get(url.clone());
                if let Some((user, password)) = login {
                    request = request.basic_auth(user, Some(password));
                }
                let response = request.send().await.map_err(|error| {
                    let again = !error.is_builder() && !error.is_redirect();
                    transfer(name, at, &error.without_url(), again)
                })?;
                accept(name, at, most, response)
            }
        }
    }

    fn http(&mut self) -> Result<reqwest::Client, reqwest::Error> {
        if let Some(http) = &self.http {
            return Ok(http.clone());
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("midwatch/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.timeout)
            .read_timeout(self.timeout)
            .redirect(Policy::custom(|attempt| {
                let from_tls = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
                if attempt.previous().len() > REDIRECTS {
                    attempt.error(format!("more than {REDIRECTS} redirections"))
                } else if from_tls && attempt.url().scheme() != "https" {
                    attempt.error("redirected from https to http")
                } else {
                    attempt.follow()
                }
            }))
            .build()?;
        self.http = Some(http.clone());
        Ok(http)
    }
}

fn accept(
    name: &str,
    at: &Address,
    most: u64,
    response: reqwest::Response,
) -> Result<Pieces, FetchError> {
    let status = response.status();
    if !status.is_success() {
        let address = at.shown.clone();
        return Err(FetchError::Status { name: name.into(), address, status: status.as_u16() });
    }
    if response.content_length().is_some_and(|length| length > most) {
        let address = at.shown.clone();
        return Err(FetchError::TooLarge { name: name.into(), address, limit: most });
    }
    let pieces = response.bytes_stream();
    Ok(pieces.map_err(|error| crate::build::chain(&error.without_url())).boxed())
}

async fn open_file(name: &str, at: &Address, path: &std::path::Path) -> Result<Pieces, FetchError> {
    let refuse = |message: String| FetchError::Transfer {
        name: name.into(),
        address: at.shown.clone(),
        message,
        again: false,
    };
    // Asked before opening: a pipe would never open.
    let facts = tokio::fs::metadata(path).await.map_err(|error| refuse(error.to_string()))?;
    if !facts.is_file() {
        return Err(refuse("is not a regular file".into()));
    }
    let file = tokio::fs::File::open(path).await.map_err(|error| refuse(error.to_string()))?;
    Ok(ReaderStream::with_capacity(file, PIECE).map_err(|error| error.to_string()).boxed())
}

fn transfer(name: &str, at: &Address, error: &dyn std::error::Error, again: bool) -> FetchError {
    FetchError::Transfer {
        name: name.into(),
        address: at.shown.clone(),
        message: crate::build::chain(error),
        again,
    }
}
