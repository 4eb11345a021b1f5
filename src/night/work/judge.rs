//! What is inside an image, what is wrong with it, and the verdict.

use super::super::Error;
use super::{Failure, Judged, Step, Work};
use crate::inventory::{self, Limits, SbomMeta};
use crate::judge::{self, JudgeInput};
use crate::model::inventory::{FileSeen, Inventory};
use crate::model::plan::Planned;
use crate::scan::checks;
use crate::scan::matching::{self, Matches};

/// What no image could be matched against.
const NO_FEEDS: &str = "no advisory data: run `midwatch feeds import PATH…`";

impl Work<'_> {
    /// Inventory, scan and verdict of an image that the daemon has.
    pub(super) async fn judged(&self, planned: &Planned, id: &str) -> Result<Step<Judged>, Error> {
        self.step(planned, "inventory");
        let (secrets, feeds) = (self.ctx.secrets.clone(), self.ctx.feeds.clone());
        let known = self.known.clone();
        let digest = id.to_owned();
        let target = planned.tags.first().cloned().unwrap_or_else(|| planned.name.clone());
        let daemon = self.prepared.daemon.clone();
        let unpacked = daemon.unpacked(id).await;
        let runtime = tokio::runtime::Handle::current();
        let scanned = tokio::task::spawn_blocking(move || {
            let inspect = |file: &FileSeen<'_>| secrets.inspect(file);
            let limits = Limits::default();
            let near = unpacked.map(|it| inventory::unpacked(&it, &limits, &inspect, &known));
            let mut inventory = match near {
                Some(Ok(inventory)) => inventory,
                _ => {
                    let reader = runtime.block_on(daemon.export_reader(&digest))?;
                    inventory::export(reader, &limits, &inspect, &known)?
                }
            };
            inventory.digest = digest;
            inventory.target = target;
            let mut findings = inventory.secrets.clone();
            findings.extend(secrets.environment(&inventory.config));
            findings.extend(checks::checks(&inventory));
            let matches = match feeds {
                Some(feeds) => matching::vulnerabilities(&inventory, feeds.as_ref()),
                None => Matches { unassessed: vec![NO_FEEDS.into()], ..Matches::default() },
            };
            findings.extend(matches.findings);
            Ok::<_, Error>((inventory, findings, matches.unassessed))
        })
        .await?;
        let (inventory, findings, mut unassessed) = match scanned {
            Ok(scanned) => scanned,
            Err(_) if self.ctx.cancel.is_cancelled() => return Err(self.interrupted()),
            Err(error) => {
                return Ok(Step::Failed(Failure::new("inventory", &error.to_string())));
            }
        };
        unassessed.extend(inventory.gaps.iter().map(|gap| match gap.path.as_str() {
            "" => format!("{}: {}", gap.kind, gap.reason),
            path => format!("{} {path}: {}", gap.kind, gap.reason),
        }));
        self.step(planned, "judge");
        let (pipeline, name) = (&self.night.pipeline, &planned.name);
        let first_seen = self.ctx.store.first_seen(pipeline, name).await?;
        let verdict = judge::judge(JudgeInput {
            image: name,
            folder: &planned.folder,
            tags: &planned.tags,
            digest: id,
            findings,
            inventory: &inventory,
            statements: &self.prepared.statements,
            policy: &self.ctx.pipeline.policy,
            freshness: self.prepared.feeds.freshness,
            first_seen: &|fingerprint| first_seen.get(fingerprint).copied(),
            bases: &self.prepared.bases(name),
            unassessed: &unassessed,
            now: self.night.started,
        });
        let sbom = self.put(self.sbom(planned, &inventory)?.into_bytes()).await?;
        Ok(Step::Went(Judged { inventory, verdict, unassessed, sbom }))
    }

    fn sbom(&self, planned: &Planned, inventory: &Inventory) -> Result<String, Error> {
        let version = planned.tags.first().and_then(|tag| tag.rsplit_once(':'));
        let meta = SbomMeta {
            name: planned.tags.first().unwrap_or(&planned.name).clone(),
            version: version.map(|(_, version)| version.to_owned()).unwrap_or_default(),
            timestamp: self.night.started,
            serial: serial(&self.night.id, &planned.name),
            tool_version: env!("CARGO_PKG_VERSION").into(),
        };
        Ok(inventory::cyclonedx(inventory, &meta)?.to_string())
    }
}

/// A UUID that depends on the night and the image alone, in the shape of RFC 9562, version 8.
fn serial(night: &str, image: &str) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(night.as_bytes());
    hash.update([0]);
    hash.update(image.as_bytes());
    let mut bytes: [u8; 32] = hash.finalize().into();
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(&bytes[..16]);
    let (a, b, c) = (&hex[..8], &hex[8..12], &hex[12..16]);
    format!("urn:uuid:{a}-{b}-{c}-{}-{}", &hex[16..20], &hex[20..])
}
