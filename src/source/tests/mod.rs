//! Real folders and real repositories, good and hostile.

mod checkout;
mod images;
mod manifest;

use std::fs;
use std::path::Path;

use crate::model::pipeline::{Schema, SourceSpec};
use crate::model::source::{Level, Violation};

/// A manifest without fault.
const MANIFEST: &str = "apiVersion: v1
name: opensource/app
tags:
  - \"1.0\"
  - latest
args:
  BASE_IMAGE: debian/base
  BASE_TAG: \"12\"
labels:
  org.opencontainers.image.title: App
  org.opencontainers.image.description: An application
  org.opencontainers.image.licenses: MIT
  org.opencontainers.image.vendor: Example
  org.opencontainers.image.version: \"1.0\"
resources:
  - url: https://example.org/app.tar.gz
    filename: app.tar.gz
    validation:
      type: sha256
      value: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
maintainers:
  - name: Ann
    username: ann
    email: ann@example.org
";

/// A Dockerfile without fault.
const DOCKERFILE: &str = "ARG BASE_REGISTRY=localhost
ARG BASE_IMAGE=debian/base
ARG BASE_TAG=12
FROM ${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}
COPY app.tar.gz scripts/run.sh /opt/
USER 1001
HEALTHCHECK CMD /opt/run.sh
";

fn spec(url: &str) -> SourceSpec {
    SourceSpec {
        url: url.into(),
        branch: None,
        folder: None,
        allowed_signers: None,
        ssh_key: None,
        known_hosts: None,
        credentials: None,
        schema: Schema::Auto,
        allowed_labels: None,
    }
}

fn write(top: &Path, path: &str, content: impl AsRef<[u8]>) {
    let full = top.join(path);
    fs::create_dir_all(full.parent().unwrap()).unwrap();
    fs::write(full, content).unwrap();
}

/// Writes an image without fault into `folder`.
fn image(top: &Path, folder: &str, name: &str) {
    let manifest = MANIFEST.replace("opensource/app", name);
    write(top, &format!("{folder}/hardening_manifest.yaml"), manifest);
    write(top, &format!("{folder}/Dockerfile"), DOCKERFILE);
    write(top, &format!("{folder}/LICENSE"), "MIT\n");
    write(top, &format!("{folder}/README.md"), "# App\n");
    write(top, &format!("{folder}/scripts/run.sh"), "#!/bin/sh\n");
}

/// `rule file:line` of each, with `!` in front of hard ones.
fn brief(violations: &[Violation]) -> Vec<String> {
    let mark = |level| if level == Level::Hard { "!" } else { "" };
    violations
        .iter()
        .inspect(|v| assert!(!v.help.is_empty() && !v.message.is_empty(), "{v:?}"))
        .map(|v| format!("{}{} {}:{}", mark(v.severity), v.rule, v.file, v.line))
        .collect()
}
