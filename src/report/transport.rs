//! How a mail leaves the house: a folder of `.eml` files, or SMTP over a pool of connections.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::{Error, clean};

/// Bounds and trust of a transport.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bound of connecting, greeting, TLS and authentication together.
    pub connect: Duration,
    /// Bound of each command, and of the message itself.
    pub command: Duration,
    /// Connections at once.
    pub connections: usize,
    /// A PEM file of certificates to trust beside the system's.
    pub root_certificate: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(120),
            connections: 4,
            root_certificate: None,
        }
    }
}

/// What became of one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// Taken over by the server, or written.
    Accepted,
    /// Not now: worth another try. Nothing was delivered.
    Later {
        /// What happened.
        error: String,
    },
    /// Never: the server refuses this recipient or this message (5xx).
    Refused {
        /// What happened.
        error: String,
    },
    /// The connection broke after the message was handed over: it may or may not have arrived.
    Unknown {
        /// What happened.
        error: String,
    },
}

/// Ways out.
#[derive(Debug)]
pub enum Transport {
    /// One `.eml` file for each mail.
    Folder(PathBuf),
    /// A mail server.
    Smtp(Box<Smtp>),
}

impl Transport {
    /// Reads `mail.transport`: `folder`, `smtp://host:587` (STARTTLS; required unless the host is
    /// loopback or `?tls=opportunistic` or `?tls=none` stands behind it) or `smtps://host:465`.
    ///
    /// # Errors
    /// Where the setting cannot be understood, or a certificate cannot be used.
    pub fn new(
        setting: &str,
        folder: PathBuf,
        credentials: Option<(String, String)>,
        options: &Options,
    ) -> Result<Self, Error> {
        if setting.trim() == "folder" {
            return Ok(Self::Folder(folder));
        }
        Smtp::new(setting, credentials, options).map(|smtp| Self::Smtp(Box::new(smtp)))
    }

    /// Sends one message. `file_name` names the file in a folder, without its ending.
    pub async fn send(&self, from: &str, to: &str, raw: &[u8], file_name: &str) -> Sent {
        match self {
            Self::Folder(folder) => write(folder, file_name, raw).await,
            Self::Smtp(smtp) => smtp.send(from, to, raw).await,
        }
    }
}

async fn write(folder: &Path, name: &str, raw: &[u8]) -> Sent {
    let (folder, raw) = (folder.to_owned(), raw.to_owned());
    let path = folder.join(format!("{}.eml", file_name(name)));
    let shown = path.display().to_string();
    let written = tokio::task::spawn_blocking(move || write_blocking(&folder, &path, &raw)).await;
    match written {
        Ok(Ok(())) => Sent::Accepted,
        Ok(Err(error)) => Sent::Later { error: format!("{shown}: {error}") },
        Err(error) => Sent::Later { error: format!("{shown}: {error}") },
    }
}

fn write_blocking(folder: &Path, path: &Path, raw: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".mail-").tempfile_in(folder)?;
    file.write_all(raw)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}

/// A name that stays inside its folder.
fn file_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.@+".contains(c) { c } else { '_' })
        .take(200)
        .collect();
    let safe = safe.trim_start_matches('.').to_owned();
    if safe.is_empty() { "mail".into() } else { safe }
}

/// A mail server and the connections to it that stand idle.
pub struct Smtp {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    options: Options,
    idle: Mutex<Vec<AsyncSmtpConnection>>,
    permits: Semaphore,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("host", &self.host).field("port", &self.port).finish()
    }
}

enum Security {
    Plain,
    Offered(TlsParameters),
    Required(TlsParameters),
    Wrapped(TlsParameters),
}

/// Where a dialogue broke off, and how.
enum Broken {
    /// Before the message was handed over.
    Before(String),
    /// The recipient or the message is refused for good.
    For(String),
    /// After it was handed over.
    After(String),
}

impl Smtp {
    fn new(
        setting: &str,
        credentials: Option<(String, String)>,
        options: &Options,
    ) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Setting {
            setting: without_secret(setting),
            reason: reason.to_owned(),
        };
        let url = Url::parse(setting.trim()).map_err(|error| refuse(&error.to_string()))?;
        let host =
            url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refuse("no host"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("credentials belong into their own setting, not into the address"));
        }
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = url.port().unwrap_or(if url.scheme() == "smtps" { 465 } else { 587 });
        let tls = || tls(&host, options.root_certificate.as_deref());
        let wish = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value);
        let security = match (url.scheme(), wish.as_deref()) {
            ("smtps", None | Some("required")) => Security::Wrapped(tls()?),
            ("smtp", Some("none")) => Security::Plain,
            ("smtp", Some("opportunistic")) => Security::Offered(tls()?),
            ("smtp", Some("required")) => Security::Required(tls()?),
            ("smtp", None) if is_loopback(&url) => Security::Offered(tls()?),
            ("smtp", None) => Security::Required(tls()?),
            ("smtp" | "smtps", Some(_)) => {
                return Err(refuse("tls is none, opportunistic or required"));
            }
            _ => return Err(refuse("unknown scheme")),
        };
        Ok(Self {
            host,
            port,
            security,
            credentials: credentials.map(|(user, password)| Credentials::new(user, password)),
            options: options.clone(),
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(options.connections.max(1)),
        })
    }

    async fn send(&self, from: &str, to: &str, raw: &[u8]) -> Sent {
        let (from, to) = match (address(from), address(to)) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(error), _) => return Sent::Later { error },
            (_, Err(error)) => return Sent::Refused { error },
        };
        let Ok(_permit) = self.permits.acquire().await else {
            return Sent::Later { error: "mail transport is shut down".into() };
        };
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(error) => return Sent::Later { error: self.at(&error) },
        };
        match self.dialogue(&mut connection, from, to, raw).await {
            Ok(()) => {
                self.keep(connection);
                Sent::Accepted
            }
            Err(broken) => {
                let _ = tokio::time::timeout(Duration::from_secs(2), connection.abort()).await;
                match broken {
                    Broken::Before(error) => Sent::Later { error: self.at(&error) },
                    Broken::For(error) => Sent::Refused { error: self.at(&error) },
                    Broken::After(error) => Sent::Unknown { error: self.at(&error) },
                }
            }
        }
    }

    fn at(&self, error: &str) -> String {
        format!("{}:{}: {}", self.host, self.port, clean::clip(error, 500))
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.options.connections && !connection.has_broken() {
            idle.push(connection);
        }
    }

    fn idle(&self) -> Option<AsyncSmtpConnection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn connection(&self) -> Result<AsyncSmtpConnection, String> {
        while let Some(mut connection) = self.idle() {
            let alive = tokio::time::timeout(Duration::from_secs(5), connection.test_connected());
            if alive.await.unwrap_or(false) {
                return Ok(connection);
            }
        }
        tokio::time::timeout(self.options.connect, self.connect())
            .await
            .map_err(|_| format!("no session after {} s", self.options.connect.as_secs()))?
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, String> {
        let hello = ClientId::default();
        let wrapped = match &self.security {
            Security::Wrapped(tls) => Some(tls.clone()),
            _ => None,
        };
        let server = (self.host.as_str(), self.port);
        let limit = Some(self.options.connect);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, limit, &hello, wrapped, None)
                .await
                .map_err(|error| error.to_string())?;
        let upgrade = match &self.security {
            Security::Offered(tls) if connection.can_starttls() => Some(tls),
            Security::Required(tls) => Some(tls),
            _ => None,
        };
        if let Some(tls) = upgrade {
            connection.starttls(tls.clone(), &hello).await.map_err(|error| error.to_string())?;
        }
        if let Some(credentials) = &self.credentials {
            connection
                .auth(DEFAULT_MECHANISMS, credentials)
                .await
                .map_err(|error| format!("authentication: {error}"))?;
        }
        Ok(connection)
    }

    async fn dialogue(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: Address,
        to: Address,
        raw: &[u8],
    ) -> Result<(), Broken> {
        // A sender that is refused is the administrator's matter, not the recipient's.
        self.step(connection.command(Mail::new(Some(from), Vec::new())), "MAIL FROM")
            .await
            .map_err(|(_, error)| Broken::Before(error))?;
        self.step(connection.command(Rcpt::new(to, Vec::new())), "RCPT TO").await.map_err(early)?;
        self.step(connection.command(Data), "DATA").await.map_err(early)?;
        // The client closes the message with a line end of its own.
        let raw = raw.strip_suffix(b"\r\n").unwrap_or(raw);
        self.step(connection.message(raw), "message").await.map_err(late)
    }

    async fn step(
        &self,
        step: impl Future<Output = Result<impl Sized, lettre::transport::smtp::Error>>,
        name: &str,
    ) -> Result<(), (Answer, String)> {
        match tokio::time::timeout(self.options.command, step).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_permanent() => {
                Err((Answer::Permanent, format!("{name}: {error}")))
            }
            Ok(Err(error)) if error.is_transient() => {
                Err((Answer::Transient, format!("{name}: {error}")))
            }
            Ok(Err(error)) => Err((Answer::None, format!("{name}: {error}"))),
            Err(_) => {
                let after = self.options.command.as_secs();
                Err((Answer::None, format!("{name}: no answer after {after} s")))
            }
        }
    }
}

/// What the server said.
enum Answer {
    Permanent,
    Transient,
    None,
}

fn early((answer, error): (Answer, String)) -> Broken {
    match answer {
        Answer::Permanent => Broken::For(error),
        Answer::Transient | Answer::None => Broken::Before(error),
    }
}

fn late((answer, error): (Answer, String)) -> Broken {
    match answer {
        Answer::Permanent => Broken::For(error),
        Answer::Transient => Broken::Before(error),
        Answer::None => Broken::After(error),
    }
}

fn address(text: &str) -> Result<Address, String> {
    text.trim()
        .parse::<Mailbox>()
        .map(|mailbox| mailbox.email)
        .map_err(|error| format!("mail address {:?}: {error}", clean::clip(text, 200)))
}

fn tls(host: &str, root: Option<&Path>) -> Result<TlsParameters, Error> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = root {
        let refuse = |reason: String| Error::Certificate { path: path.to_owned(), reason };
        let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| refuse(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder
        .build()
        .map_err(|error| Error::Setting { setting: host.to_owned(), reason: error.to_string() })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // `smtp` is no special scheme: its hosts come unparsed.
        Some(Host::Domain(name)) => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

fn without_secret(setting: &str) -> String {
    let shown = clean::clip(setting, 200);
    match (shown.find("://"), shown.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}…{}", &shown[..scheme + 3], &shown[at..])
        }
        _ => shown,
    }
}
