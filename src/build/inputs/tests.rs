//! Fetching from a small server that misbehaves in the ways real ones do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::*;
use crate::model::manifest::{Auth, Checksum};

const DATA: &str = "the content of a declared file\n";

type Hits = Arc<AtomicU32>;

async fn server() -> (String, Hits) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let hits = Hits::default();
    let endless = || async {
        let piece = Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b'x'; 1 << 16]));
        Body::from_stream(futures_util::stream::repeat_with(move || {
            piece.as_ref().map(Clone::clone).map_err(|_| std::io::Error::other("never"))
        }))
    };
    let silent = || async {
        let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        Body::from_stream(never)
    };
    let app = Router::new()
        .route("/good", get(|| async { DATA }))
        .route("/flaky", get(flaky))
        .route("/gone", get(gone))
        .route("/cut", get(cut))
        .route("/endless", get(endless))
        .route("/silent", get(silent))
        .route("/loop", get(|| async { Redirect::temporary("/loop") }))
        .route("/moved", get(|| async { Redirect::temporary("/good") }))
        .route("/locked", get(locked))
        .with_state(hits.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, hits)
}

async fn flaky(State(hits): State<Hits>) -> Response {
    match hits.fetch_add(1, Ordering::SeqCst) {
        0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => DATA.into_response(),
    }
}

async fn gone(State(hits): State<Hits>) -> StatusCode {
    hits.fetch_add(1, Ordering::SeqCst);
    StatusCode::NOT_FOUND
}

/// Promises more than it sends.
async fn cut(State(hits): State<Hits>) -> Response {
    hits.fetch_add(1, Ordering::SeqCst);
    let pieces = [Ok(bytes::Bytes::from("half")), Err(std::io::Error::other("broken"))];
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    ([(header::CONTENT_LENGTH, "100")], body).into_response()
}

async fn locked(headers: HeaderMap) -> Response {
    match headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        Some("Basic dXNlcjpwYXNz") => DATA.into_response(),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

fn settings(store: &Path) -> FetchSettings {
    FetchSettings {
        store: store.to_owned(),
        mirrors: BTreeMap::new(),
        tries: 3,
        max_bytes: 1 << 20,
        credentials: BTreeMap::from([("id".into(), ("user".into(), "pass".into()))]),
        timeout: Duration::from_secs(2),
    }
}

fn digest(algorithm: Algorithm, text: &str) -> Option<Checksum> {
    use sha2::Digest;
    let hex = match algorithm {
        Algorithm::Sha256 => hex::encode(sha2::Sha256::digest(text)),
        Algorithm::Sha512 => hex::encode(sha2::Sha512::digest(text)),
    };
    Some(Checksum { algorithm, hex })
}

fn resource(urls: &[String], checksum: Option<Checksum>) -> Resource {
    let kind = ResourceKind::File("given.bin".into());
    Resource { kind, urls: urls.to_vec(), checksum, auth: None, line: 1 }
}

async fn get_one(resource: &Resource, settings: &FetchSettings) -> Result<Fetched, FetchError> {
    let one = std::slice::from_ref(resource);
    fetch(one, settings, &CancellationToken::new()).await.map(|mut all| all.remove(0))
}

/// Nothing but whole, named content lies in the store.
fn tidy(store: &Path) -> bool {
    std::fs::read_dir(store.join("partial")).map_or(true, |mut entries| entries.next().is_none())
}

#[tokio::test]
async fn a_file_is_fetched_once_and_checked_each_time() {
    let (server, _) = server().await;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let store = tempfile::tempdir().unwrap();
        let settings = settings(store.path());
        let file = resource(&[format!("{server}/moved")], digest(algorithm, DATA));
        let first = get_one(&file, &settings).await.unwrap();
        assert_eq!(std::fs::read_to_string(&first.path).unwrap(), DATA);
        assert_eq!((first.bytes, first.pinned), (DATA.len() as u64, true));
        assert_eq!(first.from, format!("{server}/moved"));
        let again = get_one(&file, &settings).await.unwrap();
        assert_eq!((again.from.as_str(), &again.path), ("store", &first.path));
        // Damage on the disk does not go unseen.
        std::fs::write(&first.path, "damaged").unwrap();
        let mended = get_one(&file, &settings).await.unwrap();
        assert_eq!(std::fs::read_to_string(&mended.path).unwrap(), DATA);
        assert!(tidy(store.path()));
    }
}

#[tokio::test]
async fn a_file_without_checksum_is_fetched_anew_and_not_pinned() {
    let (server, hits) = server().await;
    let store = tempfile::tempdir().unwrap();
    let file = resource(&[format!("{server}/flaky")], None);
    for _ in 0..2 {
        let fetched = get_one(&file, &settings(store.path())).await.unwrap();
        assert!(!fetched.pinned);
    }
    assert_eq!(hits.load(Ordering::SeqCst), 3, "one refusal, two answers");
}

#[tokio::test]
async fn other_content_than_declared_is_named_and_not_kept() {
    let (server, _) = server().await;
    let store = tempfile::tempdir().unwrap();
    let file = resource(&[format!("{server}/good")], digest(Algorithm::Sha256, "other"));
    let error = get_one(&file, &settings(store.path())).await.unwrap_err();
    assert!(!error.transient());
    let text = error.to_string();
    for part in [
        "given.bin: ",
        "/good gave 31 bytes whose sha256 is ",
        &digest(Algorithm::Sha256, DATA).unwrap().hex,
        &format!("the manifest says {}", digest(Algorithm::Sha256, "other").unwrap().hex),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(tidy(store.path()) && !store.path().join("sha256").exists());
}

#[tokio::test]
async fn what_is_gone_is_asked_for_once_and_the_next_address_serves() {
    let (server, hits) = server().await;
    let store = tempfile::tempdir().unwrap();
    let (gone, good) = (format!("{server}/gone"), format!("{server}/good"));
    let both = resource(&[gone.clone(), good.clone()], digest(Algorithm::Sha256, DATA));
    assert_eq!(get_one(&both, &settings(store.path())).await.unwrap().from, good);
    assert_eq!(hits.load(Ordering::SeqCst), 1);
    let only = resource(&[gone], digest(Algorithm::Sha256, "else"));
    let error = get_one(&only, &settings(store.path())).await.unwrap_err();
    assert!(error.to_string().ends_with("/gone answered 404"), "{error}");
    assert!(!error.transient());
}

#[tokio::test]
async fn a_broken_transfer_is_tried_again_and_leaves_nothing() {
    let (server, hits) = server().await;
    let store = tempfile::tempdir().unwrap();
    let file = resource(&[format!("{server}/cut")], None);
    let error = get_one(&file, &settings(store.path())).await.unwrap_err();
    assert!(error.transient(), "{error}");
    assert_eq!(hits.load(Ordering::SeqCst), 3);
    assert!(tidy(store.path()) && !store.path().join("sha256").exists());
}

#[tokio::test]
async fn endless_files_silence_and_redirection_loops_come_to_an_end() {
    let (server, _) = server().await;
    let store = tempfile::tempdir().unwrap();
    let mut settings = settings(store.path());
    settings.tries = 1;
    let of = |path: &str| resource(&[format!("{server}/{path}")], None);
    let error = get_one(&of("endless"), &settings).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { limit: 1_048_576, .. }), "{error}");
    let error = get_one(&of("silent"), &settings).await.unwrap_err();
    assert!(error.transient(), "{error}");
    let error = get_one(&of("loop"), &settings).await.unwrap_err();
    assert!(error.to_string().contains("more than 5 redirections"), "{error}");
    assert!(!error.transient());
    assert!(tidy(store.path()));
}

#[tokio::test]
async fn cancelling_ends_the_fetch_and_leaves_nothing() {
    let (server, _) = server().await;
    let store = tempfile::tempdir().unwrap();
    let mut settings = settings(store.path());
    settings.timeout = Duration::from_secs(600);
    let cancel = CancellationToken::new();
    let files = [resource(&[format!("{server}/silent")], None)];
    let (end, ()) = tokio::join!(fetch(&files, &settings, &cancel), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    });
    assert!(matches!(end, Err(FetchError::Cancelled(name)) if name == "given.bin"));
    assert!(tidy(store.path()));
}

#[tokio::test]
async fn a_mirror_on_disk_serves_without_a_network() {
    let (store, mirror) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(mirror.path().join("pool")).unwrap();
    std::fs::write(mirror.path().join("pool/a.deb"), DATA).unwrap();
    let mut settings = settings(store.path());
    let target = format!("file://{}/", mirror.path().display());
    settings.mirrors = BTreeMap::from([("https://example.invalid/".into(), target.clone())]);
    let url = "https://example.invalid/pool/a.deb".to_owned();
    let fetched =
        get_one(&resource(&[url], digest(Algorithm::Sha256, DATA)), &settings).await.unwrap();
    assert_eq!(fetched.from, format!("{target}pool/a.deb"));
    for path in ["pool/b.deb", "pool"] {
        let file = resource(&[format!("https://example.invalid/{path}")], None);
        let error = get_one(&file, &settings).await.unwrap_err();
        assert!(error.to_string().contains(path) && !error.transient(), "{error}");
    }
}

#[tokio::test]
async fn credentials_are_sent_where_they_belong() {
    let (server, _) = server().await;
    let store = tempfile::tempdir().unwrap();
    let mut file = resource(&[format!("{server}/locked")], None);
    let settings = settings(store.path());
    let refused = get_one(&file, &settings).await.unwrap_err();
    assert!(matches!(refused, FetchError::Status { status: 401, .. }));
    file.auth = Some(Auth { id: "id".into(), kind: "basic".into(), region: None });
    assert!(get_one(&file, &settings).await.is_ok());
    assert!(!format!("{settings:?}").contains("pass"));
}

#[tokio::test]
async fn the_sweep_takes_what_a_killed_process_left_and_nothing_in_use() {
    let store = tempfile::tempdir().unwrap();
    assert_eq!(sweep(store.path()).unwrap(), 0);
    let partial = store.path().join("partial");
    std::fs::create_dir(&partial).unwrap();
    std::fs::write(partial.join("left"), "half").unwrap();
    let busy = std::fs::File::create(partial.join("busy")).unwrap();
    busy.lock().unwrap();
    assert_eq!(sweep(store.path()).unwrap(), 1);
    assert!(partial.join("busy").exists() && !partial.join("left").exists());
}
