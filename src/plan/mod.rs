//! Dockerfiles to one graph: which outside bases a repository needs, build keys, order and reasons; pure.

use std::collections::BTreeMap;

use crate::model::dockerfile::Dockerfile;
use crate::model::pipeline::BuildSpec;
use crate::model::plan::{BaseTarget, BaseUse, KeyParts, Plan};
use crate::model::source::{BrokenImage, ImageSource};

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
    /// References to try in the daemon, in order.
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

/// The outside references that `images` need, sorted by key; those that are no valid references are
/// left out here and become errors of their images in [`plan`]. `platform` is the daemon's own.
///
/// # Errors
/// [`Error::Duplicate`].
pub fn outside(
    images: &[ImageSource],
    registry: &str,
    platform: Option<&str>,
) -> Result<Vec<OutsideWish>, Error> {
    todo!()
}

/// The plan of one commit: graph, keys, order and reasons.
///
/// # Errors
/// A cycle, two images of one name, or an image asked for that does not exist.
pub fn plan(input: PlanInput<'_>) -> Result<Plan, Error> {
    todo!()
}

/// The Dockerfile with every base replaced by the reference that `reference_of` gives for it; a
/// `# syntax=` directive becomes an ordinary comment, all other text stays.
pub fn pin(
    dockerfile: &Dockerfile,
    bases: &[BaseUse],
    reference_of: &dyn Fn(&BaseTarget) -> Option<String>,
) -> String {
    todo!()
}
