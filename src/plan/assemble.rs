//! One planned image after the other, parents first.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::model::plan::{BaseTarget, BaseUse, KeyParts, Outside, Planned};
use crate::model::source::ImageSource;

use super::base::{Bases, Repository, Target, Use};
use super::reason::{Case, reason};
use super::scope::architecture;
use super::select::Selection;
use super::{PlanInput, key};

/// What has been planned so far.
#[derive(Debug)]
pub(super) struct Assembly<'a> {
    input: PlanInput<'a>,
    repository: &'a Repository<'a>,
    selection: &'a Selection<'a>,
    /// Image → key of the build that its children will stand on.
    standing: BTreeMap<String, String>,
    rebuilt: BTreeSet<String>,
    images: Vec<Planned>,
    outside: BTreeMap<String, Outside>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(
        input: PlanInput<'a>,
        repository: &'a Repository<'a>,
        selection: &'a Selection<'a>,
    ) -> Self {
        Self {
            input,
            repository,
            selection,
            standing: BTreeMap::new(),
            rebuilt: BTreeSet::new(),
            images: Vec::new(),
            outside: BTreeMap::new(),
        }
    }

    /// Adds an image whose parents were added before.
    pub(super) fn add(&mut self, image: &ImageSource, bases: &Bases) {
        let last = self.input.last.get(&image.name);
        if !self.selection.all.contains(image.name.as_str()) {
            let standing = last.map(|last| last.key.clone()).unwrap_or_default();
            self.standing.insert(image.name.clone(), standing);
            return;
        }
        let uses: Vec<(&Use, BaseTarget)> =
            bases.uses.iter().map(|used| (used, self.settle(&used.target))).collect();
        let platform = platform(image, bases);
        let args = self.args(image, &uses);
        let parts = self.parts(image, &uses, args.clone(), platform.as_deref());
        let key = key(&parts);
        let asked = self.selection.asked.contains(image.name.as_str());
        let (reason, reuse) = reason(Case {
            key: &key,
            parts: &parts,
            last,
            rebuild: self.input.build.rebuild,
            requested_by: self.input.requested_by.filter(|_| asked),
            rebuilt_parent: parts
                .parents
                .keys()
                .map(String::as_str)
                .find(|p| self.rebuilt.contains(*p)),
        });
        self.standing.insert(image.name.clone(), key.clone());
        if !reuse {
            self.rebuilt.insert(image.name.clone());
        }
        self.images.push(Planned {
            name: image.name.clone(),
            folder: image.folder.clone(),
            key,
            reason,
            reuse,
            after: self.after(&parts),
            bases: uses.iter().filter_map(|(used, target)| base_use(used, target)).collect(),
            args,
            platform,
            tags: self.tags(image),
            inputs: image.manifest.resources.clone(),
            parts,
        });
    }

    /// The images in their order, and the outside bases by reference.
    pub(super) fn finish(self) -> (Vec<Planned>, Vec<Outside>) {
        (self.images, self.outside.into_values().collect())
    }

    /// The target as the night resolved it; an outside one goes on the list.
    fn settle(&mut self, target: &Target) -> BaseTarget {
        let outside = match target {
            Target::Image(name) => return BaseTarget::Image(name.clone()),
            Target::Resource(tag) => return BaseTarget::Resource(tag.clone()),
            Target::Invalid { text, error } => {
                Outside { reference: text.clone(), digest: None, error: Some(error.clone()) }
            }
            Target::Outside { key, candidates, hint } if candidates.is_empty() => {
                Outside { reference: self.unmet(key), digest: None, error: hint.clone() }
            }
            Target::Outside { key, hint, .. } => self.found(key, hint.as_deref()),
        };
        let reference = outside.reference.clone();
        let known = self.outside.entry(reference.clone()).or_insert_with(|| outside.clone());
        if known.digest.is_none() && known.error.is_none() {
            *known = outside;
        }
        BaseTarget::Outside(reference)
    }

    /// The name of a base that nothing may stand in for, not even what bears this name outside.
    fn unmet(&self, key: &str) -> String {
        match self.input.outside.values().any(|found| found.reference == key) {
            true => format!("{key} of this repository"),
            false => key.to_owned(),
        }
    }

    fn found(&self, key: &str, hint: Option<&str>) -> Outside {
        let Some(found) = self.input.outside.get(key) else {
            let error = hint.map(str::to_owned);
            return Outside { reference: key.to_owned(), digest: None, error };
        };
        let error = match (&found.error, hint) {
            (Some(error), Some(hint)) => Some(format!("{error}; {hint}")),
            (None, Some(hint)) if found.digest.is_none() => Some(hint.to_owned()),
            (error, _) => error.clone(),
        };
        Outside { reference: found.reference.clone(), digest: found.digest.clone(), error }
    }

    /// The manifest's arguments, and `BASE_REGISTRY`. `BUILDKIT_SYNTAX` is left out: it would have the
    /// daemon fetch and run another frontend.
    fn args(&self, image: &ImageSource, uses: &[(&Use, BaseTarget)]) -> BTreeMap<String, String> {
        let mut args = image.manifest.args.clone();
        args.remove("BUILDKIT_SYNTAX");
        let joined = || uses.iter().filter(|(used, _)| used.relative.is_some());
        let base = joined().find(|(used, _)| used.last).or_else(|| joined().next());
        let registry = base.and_then(|(used, target)| self.registry_of(used, target));
        let registry = registry.unwrap_or_else(|| self.repository.registry.to_owned());
        args.insert("BASE_REGISTRY".into(), registry);
        args
    }

    fn registry_of(&self, used: &Use, target: &BaseTarget) -> Option<String> {
        let relative = used.relative.as_deref()?;
        match target {
            BaseTarget::Image(_) => Some(self.repository.prefix_for(relative).to_owned()),
            BaseTarget::Outside(reference) if reference == relative => Some("docker.io".to_owned()),
            BaseTarget::Outside(reference) => {
                reference.strip_suffix(relative)?.strip_suffix('/').map(str::to_owned)
            }
            BaseTarget::Resource(_) => None,
        }
    }

    fn parts(
        &self,
        image: &ImageSource,
        uses: &[(&Use, BaseTarget)],
        args: BTreeMap<String, String>,
        platform: Option<&str>,
    ) -> KeyParts {
        let (mut parents, mut outside) = (BTreeMap::new(), BTreeMap::new());
        for (_, target) in uses {
            match target {
                BaseTarget::Image(name) => {
                    let key = self.standing.get(name).cloned().unwrap_or_default();
                    parents.insert(name.clone(), key);
                }
                BaseTarget::Outside(reference) => {
                    let digest = self.outside.get(reference).and_then(|base| base.digest.clone());
                    outside.insert(reference.clone(), digest.unwrap_or_default());
                }
                BaseTarget::Resource(_) => {}
            }
        }
        KeyParts {
            context: self.input.context_digests.get(&image.name).cloned().unwrap_or_default(),
            dockerfile: hex::encode(Sha256::digest(image.dockerfile.text.as_bytes())),
            manifest: image.manifest_sha256.clone(),
            args,
            platform: platform.or(self.input.platform).unwrap_or_default().to_owned(),
            parents,
            outside,
            inputs: key::inputs(&image.manifest.resources),
        }
    }

    /// Parents of this plan, and broken ones, which no plan holds.
    fn after(&self, parts: &KeyParts) -> Vec<String> {
        parts
            .parents
            .keys()
            .filter(|name| {
                let name = name.as_str();
                self.selection.all.contains(name) || self.repository.broken.contains_key(name)
            })
            .cloned()
            .collect()
    }

    fn tags(&self, image: &ImageSource) -> Vec<String> {
        let registry = self.repository.registry;
        let name = match registry.is_empty() {
            true => image.name.clone(),
            false => format!("{registry}/{}", image.name),
        };
        image.manifest.tags.iter().map(|tag| format!("{name}:{tag}")).collect()
    }
}

/// The manifest's first architecture, else the last stage's own platform.
fn platform(image: &ImageSource, bases: &Bases) -> Option<String> {
    architecture(&image.manifest.architecture).map(str::to_owned).or_else(|| bases.platform.clone())
}

fn base_use(used: &Use, target: &BaseTarget) -> Option<BaseUse> {
    let span = used.span.clone()?;
    Some(BaseUse { span, target: target.clone(), last: used.last })
}
