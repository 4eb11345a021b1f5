//! Dockerfiles to one graph: which outside bases a repository needs, build keys, order and reasons; pure.

mod assemble;
mod base;
mod expand;
mod graph;
mod key;
mod pin;
mod reason;
mod reference;
mod scope;
mod select;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::pipeline::BuildSpec;
use crate::model::plan::{KeyParts, Plan};
use crate::model::source::{BrokenImage, ImageSource};

pub use key::key;
pub use pin::pin;

use assemble::Assembly;
use base::{Bases, Repository, Target};
use graph::Parents;

/// Why there is no plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Images that need one another; each is built on the next, the last on the first.
    #[error(
        "images need one another in a circle: {}; cut one of these FROM or COPY --from",
        circle(.members)
    )]
    Cycle {
        /// The names, each once, the alphabetically first one first.
        members: Vec<String>,
    },
    /// Two folders with the same name.
    #[error("image {name} is defined in {first} and in {second}; give one of them another name")]
    Duplicate {
        /// The name.
        name: String,
        /// One folder.
        first: String,
        /// The other.
        second: String,
    },
    /// An image that was asked for and does not exist.
    #[error("no image {name} in the repository{}", nearest(.near))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names much like it, the nearest first.
        near: Vec<String>,
    },
    /// An image that was asked for, but whose folder has hard violations.
    #[error("image {name} in {folder} cannot be planned: {message}")]
    Broken {
        /// Its name.
        name: String,
        /// Its folder.
        folder: String,
        /// The first hard violation.
        message: String,
    },
}

fn circle(members: &[String]) -> String {
    members.iter().chain(members.first()).cloned().collect::<Vec<_>>().join(" → ")
}

fn nearest(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}

/// An outside reference that the repository needs, before the daemon was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideWish {
    /// The reference as joined with the pipeline's registry; the key of [`PlanInput::outside`].
    pub key: String,
    /// References to try in the daemon, in order; at least one.
    pub candidates: Vec<String>,
    /// Names of the images that use it, sorted.
    pub wanted_by: Vec<String>,
}

/// What became of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedBase {
    /// The candidate that answered, else the first one.
    pub reference: String,
    /// Image id or manifest digest.
    pub digest: Option<String>,
    /// Why there is none.
    pub error: Option<String>,
}

/// The last attempt to build an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastBuild {
    /// Its night.
    pub night: String,
    /// Its build key.
    pub key: String,
    /// What went into that key.
    pub parts: KeyParts,
    /// Whether an image came out.
    pub succeeded: bool,
    /// Whether that image is still there.
    pub exists: bool,
}

/// Everything a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// Full commit id.
    pub commit: &'a str,
    /// Images that can be planned.
    pub images: &'a [ImageSource],
    /// Images that cannot; what needs them is planned `after` them.
    pub broken: &'a [BrokenImage],
    /// Image name → digest over its context.
    pub context_digests: &'a BTreeMap<String, String>,
    /// The pipeline's `[build]`.
    pub build: &'a BuildSpec,
    /// Wish key → what the daemon says.
    pub outside: &'a BTreeMap<String, ResolvedBase>,
    /// Outside reference → its `ONBUILD` triggers, as far as the daemon knows it.
    pub onbuild: &'a BTreeMap<String, Vec<String>>,
    /// Image name → its last build.
    pub last: &'a BTreeMap<String, LastBuild>,
    /// On demand: only these images.
    pub only: Option<&'a [String]>,
    /// On demand: and everything that stands on them.
    pub with_dependants: bool,
    /// On demand: who asked.
    pub requested_by: Option<&'a str>,
    /// The daemon's own platform, such as `linux/amd64`; the same as was given to [`outside`].
    pub platform: Option<&'a str>,
}

/// The outside references that `images` need, sorted by key; those that are no valid references, or
/// that name an image of this repository by a tag it does not have, are left out here and become
/// errors of their images in [`plan`]. `platform` is the daemon's own.
///
/// # Errors
/// [`Error::Duplicate`].
pub fn outside(
    images: &[ImageSource],
    registry: &str,
    platform: Option<&str>,
) -> Result<Vec<OutsideWish>, Error> {
    let repository = Repository::new(images, &[], registry, platform)?;
    let mut wishes: BTreeMap<String, (Vec<String>, BTreeSet<String>)> = BTreeMap::new();
    for image in images {
        for used in base::bases(&repository, image, &|_| Vec::new()).uses {
            if let Target::Outside { key, candidates, .. } = used.target
                && !candidates.is_empty()
            {
                let (known, wanted_by) = wishes.entry(key).or_default();
                for candidate in candidates {
                    if !known.contains(&candidate) {
                        known.push(candidate);
                    }
                }
                wanted_by.insert(image.name.clone());
            }
        }
    }
    let wish = |(key, (candidates, wanted_by)): (String, (Vec<String>, BTreeSet<String>))| {
        OutsideWish { key, candidates, wanted_by: wanted_by.into_iter().collect() }
    };
    Ok(wishes.into_iter().map(wish).collect())
}

/// The plan of one commit: graph, keys, order and reasons. What an image needs from outside and
/// cannot have stands in [`Plan::outside`] with its error.
///
/// # Errors
/// A cycle, two images of one name, or an image asked for that does not exist or is broken.
pub fn plan(input: PlanInput<'_>) -> Result<Plan, Error> {
    let repository =
        Repository::new(input.images, input.broken, &input.build.registry, input.platform)?;
    let triggers = |key: &str| {
        let reference = input.outside.get(key).map_or(key, |found| found.reference.as_str());
        input.onbuild.get(reference).cloned().unwrap_or_default()
    };
    let bases: BTreeMap<&str, Bases> = repository
        .images
        .iter()
        .map(|(name, image)| (*name, base::bases(&repository, image, &triggers)))
        .collect();
    let parents = parents(&repository, &bases);
    let order = graph::order(&parents)?;
    let selection = select::select(&input, &repository, &parents)?;
    let mut assembly = Assembly::new(input, &repository, &selection);
    for name in order {
        assembly.add(repository.images[name], &bases[name]);
    }
    let (images, outside) = assembly.finish();
    Ok(Plan { commit: input.commit.to_owned(), images, outside })
}

/// Edges to sound images; broken ones never become ready.
fn parents<'a>(repository: &Repository<'a>, bases: &BTreeMap<&'a str, Bases>) -> Parents<'a> {
    let needed = |bases: &Bases| {
        bases
            .uses
            .iter()
            .filter_map(|used| match &used.target {
                Target::Image(name) => {
                    repository.images.get_key_value(name.as_str()).map(|(name, _)| *name)
                }
                _ => None,
            })
            .collect()
    };
    bases.iter().map(|(name, bases)| (*name, needed(bases))).collect()
}
