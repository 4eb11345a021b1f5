//! What every `FROM`, `COPY --from` and `RUN --mount=from` of an image stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::dockerfile::{Spanned, Stage};
use crate::model::manifest::ResourceKind;
use crate::model::source::{BrokenImage, ImageSource};

use super::Error;
use super::reference::{Reference, split_domain};
use super::scope::{MARK, Scope};

/// The registry path of the public repositories whose images name it or leave it out.
const KNOWN_PATH: &str = "ironbank";

/// The images of the repository as references find them.
#[derive(Debug)]
pub(super) struct Repository<'a> {
    pub(super) images: BTreeMap<&'a str, &'a ImageSource>,
    pub(super) broken: BTreeMap<&'a str, &'a BrokenImage>,
    pub(super) registry: &'a str,
    pub(super) platform: Option<&'a str>,
}

/// Everything an image's Dockerfile asks of other images.
#[derive(Debug, Default)]
pub(super) struct Bases {
    /// In the order of the Dockerfile, triggers of a base after the base itself.
    pub(super) uses: Vec<Use>,
    /// `FROM --platform` of the last stage, unless it only repeats the build's own platform.
    pub(super) platform: Option<String>,
}

/// One use of an image.
#[derive(Debug, Clone)]
pub(super) struct Use {
    /// Where the reference stands; `None` for an `ONBUILD` trigger of a base.
    pub(super) span: Option<Range<usize>>,
    pub(super) target: Target,
    /// The base of the last stage.
    pub(super) last: bool,
    /// What follows `BASE_REGISTRY/` where the reference is joined from it.
    pub(super) relative: Option<String>,
}

/// What a reference means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An image of this repository, sound or broken.
    Image(String),
    /// A declared resource image.
    Resource(String),
    /// An image of the world.
    Outside {
        key: String,
        /// None where the reference means this repository, which has no such image.
        candidates: Vec<String>,
        /// What to tell where nothing answers.
        hint: Option<String>,
    },
    /// Not a reference.
    Invalid { text: String, error: String },
}

/// `ONBUILD` triggers of an outside base, by wish key.
pub(super) type Triggers<'a> = &'a dyn Fn(&str) -> Vec<String>;

impl<'a> Repository<'a> {
    /// Collects the names.
    ///
    /// # Errors
    /// [`Error::Duplicate`].
    pub(super) fn new(
        images: &'a [ImageSource],
        broken: &'a [BrokenImage],
        registry: &'a str,
        platform: Option<&'a str>,
    ) -> Result<Self, Error> {
        let mut by_name = BTreeMap::new();
        for image in images {
            if let Some(other) = by_name.insert(image.name.as_str(), image) {
                return Err(Error::Duplicate {
                    name: image.name.clone(),
                    first: other.folder.clone(),
                    second: image.folder.clone(),
                });
            }
        }
        let broken = broken
            .iter()
            .map(|image| (image.name.as_str(), image))
            .filter(|(name, _)| !by_name.contains_key(name))
            .collect();
        let registry = registry.trim_end_matches('/');
        Ok(Self { images: by_name, broken, registry, platform })
    }

    /// The registry's path after its host; empty where it has none.
    fn registry_path(&self) -> &'a str {
        match split_domain(self.registry) {
            (Some(_), path) => path,
            (None, name) => name.split_once('/').map_or("", |(_, path)| path),
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.images.contains_key(name) || self.broken.contains_key(name)
    }

    /// The image that a path without host names: its own name first, then the longest rest of whole
    /// components once a registry's path is taken off, then a name that holds such a path itself.
    fn named(&self, path: &str) -> Option<String> {
        if self.knows(path) {
            return Some(path.to_owned());
        }
        let own = self.registry_path();
        let shorter = path.match_indices('/').find_map(|(at, _)| {
            let (prefix, rest) = (&path[..at], &path[at + 1..]);
            let trusted = prefix == KNOWN_PATH || ends_with_path(own, prefix);
            (self.knows(rest) && (trusted || rest.contains('/'))).then(|| rest.to_owned())
        });
        let longer = || {
            [own, KNOWN_PATH]
                .iter()
                .filter(|prefix| !prefix.is_empty())
                .map(|prefix| format!("{prefix}/{path}"))
                .find(|name| self.knows(name))
        };
        shorter.or_else(longer)
    }

    /// `BASE_REGISTRY` under which `relative` joins to a reference below the pipeline's registry:
    /// the registry, without a path that `relative` repeats.
    pub(super) fn prefix_for(&self, relative: &str) -> &'a str {
        let path = self.registry_path();
        let repeats = below(relative, path).is_some();
        let host = self.registry.strip_suffix(path).and_then(|host| host.strip_suffix('/'));
        host.filter(|_| repeats).unwrap_or(self.registry)
    }
}

/// What follows `path/` in `text`.
fn below<'t>(text: &'t str, path: &str) -> Option<&'t str> {
    text.strip_prefix(path)?.strip_prefix('/').filter(|_| !path.is_empty())
}

fn ends_with_path(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// Resolves every use of an image by `image`; `triggers` are those of outside bases.
pub(super) fn bases(
    repository: &Repository<'_>,
    image: &ImageSource,
    triggers: Triggers<'_>,
) -> Bases {
    let scope = Scope::of(image, repository.platform);
    let reader = Reader { repository, image, scope: &scope, triggers };
    let stages = &image.dockerfile.stages;
    let last = bottom(&scope, stages);
    let mut uses = Vec::new();
    for (place, stage) in stages.iter().enumerate() {
        reader.stage(place, stage, Some(place) == last, &mut uses);
    }
    let platform = stages.last().and_then(|stage| stage.platform.as_deref());
    Bases { uses, platform: platform.and_then(|text| scope.platform(text)) }
}

/// The stage whose base the last stage stands on, through `FROM stage`.
fn bottom(scope: &Scope<'_>, stages: &[Stage]) -> Option<usize> {
    let mut place = stages.len().checked_sub(1)?;
    while let Some(below) =
        scope.expand(&stages[place].from.value).ok().and_then(|n| stage_named(&stages[..place], &n))
    {
        place = below;
    }
    Some(place)
}

fn stage_named(earlier: &[Stage], name: &str) -> Option<usize> {
    earlier.iter().rposition(|stage| {
        stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name))
    })
}

struct Reader<'a> {
    repository: &'a Repository<'a>,
    image: &'a ImageSource,
    scope: &'a Scope<'a>,
    triggers: Triggers<'a>,
}

impl Reader<'_> {
    fn stage(&self, place: usize, stage: &Stage, last: bool, uses: &mut Vec<Use>) {
        let earlier = &self.image.dockerfile.stages[..place];
        let name = self.scope.expand(&stage.from.value);
        let inner = self.scope.inside(&stage.args);
        let triggers = match name.as_deref().ok().and_then(|name| stage_named(earlier, name)) {
            Some(below) => texts(&earlier[below].onbuild),
            None => match self.read(&stage.from.value, name) {
                None => Vec::new(),
                Some((target, relative)) => {
                    let triggers = self.triggers_of(&target);
                    let span = Some(stage.from.span.clone());
                    uses.push(Use { span, target, last, relative });
                    triggers
                }
            },
        };
        for source in triggers.iter().flat_map(|trigger| trigger_sources(trigger)) {
            self.source(earlier, source, None, &inner, uses);
        }
        for source in &stage.uses {
            self.source(earlier, &source.value, Some(source.span.clone()), &inner, uses);
        }
    }

    fn source(
        &self,
        earlier: &[Stage],
        text: &str,
        span: Option<Range<usize>>,
        scope: &Scope<'_>,
        uses: &mut Vec<Use>,
    ) {
        let name = scope.expand(text);
        if let Ok(name) = &name {
            let number = !name.is_empty() && name.bytes().all(|c| c.is_ascii_digit());
            if number || stage_named(earlier, name).is_some() {
                return;
            }
        }
        if let Some((target, relative)) = self.read(text, name) {
            uses.push(Use { span, target, last: false, relative });
        }
    }

    fn triggers_of(&self, target: &Target) -> Vec<String> {
        match target {
            Target::Outside { key, .. } => (self.triggers)(key),
            Target::Image(name) => {
                let parent = self.repository.images.get(name.as_str());
                let stage = parent.and_then(|parent| parent.dockerfile.stages.last());
                stage.map_or_else(Vec::new, |stage| texts(&stage.onbuild))
            }
            _ => Vec::new(),
        }
    }

    /// The target and what follows `BASE_REGISTRY/`; `None` for `scratch`.
    fn read(
        &self,
        text: &str,
        expanded: Result<String, String>,
    ) -> Option<(Target, Option<String>)> {
        let registry = self.repository.registry;
        let marked = match expanded {
            Ok(marked) => marked,
            Err(error) => return Some((invalid(text, &error), None)),
        };
        let relative = marked
            .strip_prefix(MARK)
            .and_then(|rest| rest.strip_prefix('/'))
            .map(|rest| rest.replace(MARK, registry));
        let joined = match &relative {
            Some(rest) => format!("{}/{rest}", self.repository.prefix_for(rest)),
            None => marked.replace(MARK, registry),
        };
        if joined == "scratch" {
            return None;
        }
        let target = match Reference::parse(relative.as_deref().unwrap_or(&joined)) {
            Some(reference) => self.target(&reference, &joined, relative.as_deref()),
            None => invalid(&joined, &self.why_invalid(text)),
        };
        Some((target, relative))
    }

    fn why_invalid(&self, text: &str) -> String {
        match &self.scope.error {
            Some(error) => error.clone(),
            None => format!(
                "`{text}` does not expand to an image reference; declare each ARG it uses before \
                 the first FROM, and give it a value here or in the manifest's args"
            ),
        }
    }

    fn target(&self, reference: &Reference<'_>, joined: &str, relative: Option<&str>) -> Target {
        if let Some(tag) = [relative, Some(joined)].into_iter().flatten().find(|t| self.declares(t))
        {
            return Target::Resource(tag.to_owned());
        }
        let (own, path) = self.path(reference, joined, relative);
        let foreign = reference.digest.is_some() || (!own && reference.domain == Some("docker.io"));
        let name = if foreign { None } else { self.repository.named(path) };
        let itself = name.as_deref() == Some(&self.image.name);
        let named = reference.domain.is_some() && (relative.is_some() || !own);
        let elsewhere = named || (itself && relative.is_some() && self.has_other_registry());
        let tagged = name.map(|name| self.tagged(&name, reference.tag_or_latest()));
        match tagged {
            Some(Ok(target)) if !itself || self.is_circle(own, path, relative) => target,
            Some(_) if itself && elsewhere => self.namesake(joined, relative),
            Some(Err(hint)) if elsewhere => self.outside(joined, relative, Some(hint)),
            Some(Err(hint)) => refused(joined, hint),
            Some(Ok(_)) => refused(joined, self.own_base()),
            None => self.outside(joined, relative, None),
        }
    }

    /// Whether the Dockerfile gives `BASE_REGISTRY` a value that is not the pipeline's registry.
    fn has_other_registry(&self) -> bool {
        let default = self.scope.registry.trim_end_matches('/');
        !default.is_empty() && default != self.repository.registry
    }

    fn own_base(&self) -> String {
        let name = &self.image.name;
        format!(
            "image {name} cannot be its own base; where an outside image is meant, write its \
             registry, as in docker.io/library/NAME"
        )
    }

    /// Whether a reference to the image itself can mean nothing else: it stands below the pipeline's
    /// registry, and the Dockerfile names no other one.
    fn is_circle(&self, own: bool, path: &str, relative: Option<&str>) -> bool {
        let name = self.image.name.as_str();
        let exact = path == name || below(path, self.repository.registry_path()) == Some(name);
        own && exact && (relative.is_none() || !self.has_other_registry())
    }

    fn declares(&self, tag: &str) -> bool {
        self.image
            .manifest
            .resources
            .iter()
            .any(|resource| matches!(&resource.kind, ResourceKind::Image(known) if known == tag))
    }

    /// Whether the reference lies below the pipeline's registry, and its path there.
    fn path<'t>(
        &self,
        reference: &Reference<'t>,
        joined: &'t str,
        relative: Option<&str>,
    ) -> (bool, &'t str) {
        if relative.is_some() {
            return (true, reference.path);
        }
        let own = below(joined, self.repository.registry).and_then(Reference::parse);
        own.map_or((false, reference.path), |own| (true, own.path))
    }

    fn outside(&self, joined: &str, relative: Option<&str>, hint: Option<String>) -> Target {
        let candidates = self.candidates(joined, relative);
        Target::Outside { key: joined.into(), candidates, hint }
    }

    /// An outside image of the same name; never the one that a night before put into the registry.
    fn namesake(&self, joined: &str, relative: Option<&str>) -> Target {
        let mut candidates = self.candidates(joined, relative);
        candidates.retain(|text| below(text, self.repository.registry).is_none());
        let name = &self.image.name;
        let hint = format!("image {name} cannot be its own base, so this must be an outside one");
        Target::Outside { key: joined.into(), candidates, hint: Some(hint) }
    }

    fn tagged(&self, name: &str, tag: &str) -> Result<Target, String> {
        match self.repository.images.get(name) {
            Some(image) if !image.manifest.tags.iter().any(|known| known == tag) => Err(format!(
                "image {name} of this repository has tags {}; not {tag}",
                image.manifest.tags.join(", ")
            )),
            _ => Ok(Target::Image(name.to_owned())),
        }
    }

    fn candidates(&self, joined: &str, relative: Option<&str>) -> Vec<String> {
        let mut candidates = vec![joined.to_owned()];
        if let Some(rest) = relative {
            candidates.push(format!("{}/{rest}", self.repository.registry));
            let default = self.scope.registry.trim_end_matches('/');
            if !default.is_empty() {
                candidates.push(format!("{default}/{rest}"));
            }
            candidates.push(rest.to_owned());
        }
        let mut seen = BTreeSet::new();
        candidates.retain(|text| Reference::parse(text).is_some() && seen.insert(text.clone()));
        candidates
    }
}

/// Names this repository, which has no such image; nobody else may supply it.
fn refused(joined: &str, why: String) -> Target {
    Target::Outside { key: joined.into(), candidates: Vec::new(), hint: Some(why) }
}

fn invalid(text: &str, error: &str) -> Target {
    let shown = text.replace(MARK, "${BASE_REGISTRY}");
    Target::Invalid { text: shown, error: error.replace(MARK, "${BASE_REGISTRY}") }
}

fn texts(triggers: &[Spanned]) -> Vec<String> {
    triggers.iter().map(|trigger| trigger.value.clone()).collect()
}

/// The images that an `ONBUILD` trigger copies or mounts from.
fn trigger_sources(trigger: &str) -> Vec<&str> {
    let mut words = trigger.split_whitespace().peekable();
    words.next_if(|word| word.eq_ignore_ascii_case("ONBUILD"));
    let takes = words.next().unwrap_or_default().to_ascii_uppercase();
    let flags = words.take_while(|word| word.starts_with("--"));
    match takes.as_str() {
        "COPY" | "ADD" => flags.filter_map(|flag| flag.strip_prefix("--from=")).collect(),
        "RUN" => flags
            .filter_map(|flag| flag.strip_prefix("--mount="))
            .flat_map(|mount| mount.split(','))
            .filter_map(|option| option.strip_prefix("from="))
            .collect(),
        _ => Vec::new(),
    }
}
