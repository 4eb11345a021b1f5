//! What the variables of a Dockerfile are worth, before the first `FROM` and inside a stage.

use std::collections::BTreeMap;

use crate::model::dockerfile::Arg;
use crate::model::source::ImageSource;

use super::expand::expand;

/// Stands for `BASE_REGISTRY` while variables are expanded; no manifest value may hold it.
pub(super) const MARK: char = '\u{1}';

/// Values of variables while a Dockerfile is read.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    /// What surrounds a stage.
    outer: Option<&'a Scope<'a>>,
    values: BTreeMap<String, String>,
    overrides: Option<&'a BTreeMap<String, String>>,
    /// The Dockerfile's own default of `BASE_REGISTRY`.
    pub(super) registry: String,
    /// What went wrong in a default, for whoever needs the variable.
    pub(super) error: Option<String>,
}

impl<'a> Scope<'a> {
    pub(super) fn of(image: &'a ImageSource, own_platform: Option<&str>) -> Self {
        let platform = architecture(&image.manifest.architecture);
        let own = own_platform.unwrap_or("linux/amd64");
        let mut scope = Self { overrides: Some(&image.manifest.args), ..Self::default() };
        scope.set_platform("TARGET", platform.unwrap_or(own));
        scope.set_platform("BUILD", own);
        for arg in &image.dockerfile.args {
            scope.declare(arg);
        }
        scope
    }

    fn set_platform(&mut self, prefix: &str, platform: &str) {
        let mut parts = platform.splitn(3, '/');
        for name in ["OS", "ARCH", "VARIANT"] {
            let value = parts.next().unwrap_or_default().to_owned();
            self.values.insert(format!("{prefix}{name}"), value);
        }
        self.values.insert(format!("{prefix}PLATFORM"), platform.to_owned());
    }

    fn declare(&mut self, arg: &Arg) {
        let default = arg.default.as_ref().map(|text| self.expand(text)).transpose();
        let default = default.unwrap_or_else(|error| {
            self.error.get_or_insert(format!("ARG {} in line {}: {error}", arg.name, arg.line));
            None
        });
        if arg.name == "BASE_REGISTRY" {
            self.registry = default.unwrap_or_default();
            self.values.insert(arg.name.clone(), MARK.to_string());
        } else if let Some(value) = self.given(&arg.name).or(default) {
            self.values.insert(arg.name.clone(), value);
        }
    }

    fn given(&self, name: &str) -> Option<String> {
        self.overrides.and_then(|args| args.get(name)).cloned()
    }

    /// Inside a stage its own arguments count as well; Docker itself takes no variables there.
    pub(super) fn inside(&'a self, args: &[Arg]) -> Self {
        let mut scope = Self { outer: Some(self), overrides: self.overrides, ..Self::default() };
        for arg in args.iter().filter(|arg| arg.name != "BASE_REGISTRY") {
            scope.declare(arg);
        }
        scope
    }

    fn value(&self, name: &str) -> Option<String> {
        let here = self.values.get(name).cloned();
        here.or_else(|| self.outer.and_then(|outer| outer.value(name)))
    }

    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        expand(text, &|name| self.value(name))
    }

    pub(super) fn platform(&self, text: &str) -> Option<String> {
        let automatic =
            |name: &str| name.starts_with("TARGET") || name.starts_with("BUILDPLATFORM");
        let value =
            expand(text, &|name| self.values.get(name).filter(|_| !automatic(name)).cloned());
        value.ok().filter(|value| value.contains('/') && !value.contains(MARK))
    }
}

/// The first of a manifest's architectures as a platform.
pub(super) fn architecture(names: &[String]) -> Option<&'static str> {
    match names.first()?.as_str() {
        "x86" => Some("linux/amd64"),
        "arm64" => Some("linux/arm64"),
        _ => None,
    }
}
