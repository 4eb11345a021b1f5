//! midwatch: nightly rebuild-and-rescan orchestrator for hardened container images.
//!
//! A library and a thin binary. Reading order for somebody new: this page, [`model`], [`night`], then
//! the stage of interest.
//!
//! # The flow
//!
//! ```text
//! source ──► plan ──► build ──► inventory ──► scan ──► judge ──► store ──► report
//! commit,    order,   Docker,   packages      feeds,   VEX,      one       mail,
//! manifests, keys,    no net,   per layer,    secrets, policy,   trans-    page,
//! lint       reasons  inputs    SBOM          checks   score     action    terminal
//! ```
//!
//! It runs one way. What passes between two stages is a type of [`model`]; a stage never calls the
//! next one, [`night`] does. [`feeds`] stands beside the flow: it turns advisory databases into the
//! index that `scan` looks things up in.
//!
//! # The floors
//!
//! ```text
//! cli                 one file per command; turns configuration into stages
//! config              the only reader of files of configuration and of the environment
//! night   web         the conductor; /healthz and /metrics
//! source plan build inventory feeds scan judge store report
//! ambient             the only reader of the clock and of randomness
//! model               the nouns: no I/O, no async, no SQL
//! ```
//!
//! Imports point down and never sideways; `tests/it/architecture.rs` reads them and fails on any
//! other. [`plan`], [`judge`], matching, version orders and rendering are pure: the same arguments
//! give the same result, and the time is one of the arguments. A failed image is data
//! ([`model::build::BuildEnd::Failed`], [`model::night::Outcome`]); an `Err` means that midwatch, the
//! daemon or the ledger failed.
//!
//! # The life of one image in a night
//!
//! 1. [`source`] finds its folder in the pinned commit, validates `hardening_manifest.yaml`, parses the
//!    Dockerfile and hashes the context. A hard violation makes it a
//!    [`BrokenImage`](model::source::BrokenImage): it ends *failed* at stage `lint` and what stands on
//!    it ends *blocked*.
//! 2. [`plan`] puts it into the graph, computes its build key and compares it with the last build: that
//!    gives its [`Reason`](model::plan::Reason). Outside bases are resolved once a night, so that all
//!    children stand on the same one. The plan is written to the ledger before anything is built.
//! 3. [`build`] fetches its declared resources by checksum, pins its bases in the Dockerfile, streams a
//!    reproducible context to the daemon and tags the result `….held`. The image's id is written down
//!    at once, so that a kill after this point costs no second build.
//! 4. [`inventory`] reads the image's layers, in the daemon's own folders where it is local and permits
//!    that, else as a stream; layers that another image of the night had are not read again. Each
//!    regular file passes the secret rules of [`scan`] on its way.
//! 5. [`scan`] matches the packages with the index and checks configuration and files.
//! 6. [`judge`] applies statements (VEX), score and policy: *released*, *held* or, where the last build
//!    stands, *reused*. Only a released image gets its published tags.
//! 7. [`store`] writes its end in one transaction; the last one closes the night and puts the mails into
//!    the outbox in the same transaction.
//! 8. [`report`] has rendered these mails from the ledger; [`night::deliver`] sends what is due.
//!
//! # How nothing is lost
//!
//! A night is a row that is opened before anything else happens. Plan, bases and every image's end
//! are written when they are known, each in one transaction, so after a `kill -9` the next
//! `midwatch run` or `midwatch serve` takes up the same night on the same commit with the same
//! bases and does only what is missing. A lock file whose lock dies with its process keeps two
//! nights of a pipeline apart; on-demand rebuilds have a lock of their own and do not wait for the
//! night. A mail is a row of the outbox with a `Message-ID` that follows from night, reader and
//! revision: a second attempt is the same message. SBOMs, logs and mails lie in a store named by their
//! content; the ledger holds their digests.
//!
//! # What is one-way
//!
//! Migrations go forward only, and an older midwatch refuses a newer ledger. A scoring formula is
//! never changed under its name: a change gets a new name, and reports compare no scores across two
//! formulas. Rule ids, check ids, policy keys, exit codes and the JSON under `ops/schema` are relied
//! upon from outside: they are added to, not renamed.
//!
//! # Where to add
//!
//! - **A kind of package**: which of its files are kept in `inventory/kept.rs`, a file in
//!   `src/inventory/` that turns them into [`Package`](model::inventory::Package)s, a line in
//!   `inventory/collect.rs`; its version order in `src/scan/version/`. Until a kind is read,
//!   `inventory/foreign.rs` names it as not assessed, so take it out there.
//! - **A lint rule**: `source/rules.rs` for the Dockerfile, `source/layout.rs` for the folder,
//!   `source/manifest.rs` and its neighbours for the manifest; a stable id, and a sentence what to do.
//! - **A secret rule**: an element of `RULES` in one of `src/scan/secrets/rules/`.
//! - **An image check**: `scan/checks.rs`; the id starts with `check.`.
//! - **A policy rule**: a key in [`model::pipeline::Policy`], its evaluation in `judge/policy.rs`, a row
//!   in `ops/docs/configuration.md` (a test asks for it).
//! - **A mail or page**: a folder under `templates/`, its data in `report/view/`.
//! - **A table or column**: a new file in `migrations/` in the portable subset that the head of the
//!   first one names, the statements in `src/store/`, and a case in `store/tests` that runs on SQLite
//!   and on PostgreSQL.
//! - **A command**: a file in `src/cli/`, a variant of its `Command`, and where it prints JSON a schema
//!   in `ops/schema/`.

pub mod ambient;
pub mod build;
pub mod cli;
pub mod config;
pub mod feeds;
pub mod inventory;
pub mod judge;
pub mod model;
pub mod night;
pub mod plan;
pub mod report;
pub mod scan;
pub mod source;
pub mod store;
pub mod web;
