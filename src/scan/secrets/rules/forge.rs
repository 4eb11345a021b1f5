//! Source forges, package registries and image registries.

use super::{Check, Rule, Scope};
use crate::model::finding::Severity::{Critical, High, Medium};

pub(super) const RULES: &[Rule] = &[
    Rule::token(
        "secret.github-token",
        "GitHub personal access token",
        Critical,
        &["ghp_"],
        r"\b(ghp_[A-Za-z0-9]{36})\b",
    )
    .check(Check::Crc),
    Rule::token(
        "secret.github-app-token",
        "GitHub app or OAuth token",
        Critical,
        &["gho_", "ghu_", "ghs_", "ghr_"],
        r"\b(gh[ousr]_[A-Za-z0-9]{36})\b",
    )
    .check(Check::Crc),
    Rule::token(
        "secret.github-fine-grained-token",
        "GitHub fine-grained token",
        Critical,
        &["github_pat_"],
        r"\b(github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
    ),
    Rule::token(
        "secret.gitlab-token",
        "GitLab access token",
        Critical,
        &["glpat-"],
        r"\b(glpat-[A-Za-z0-9_-]{20,64})(?:[^A-Za-z0-9_-]|$)",
    ),
    Rule::token(
        "secret.gitlab-service-token",
        "GitLab deploy, runner or trigger token",
        High,
        &["gldt-", "glrt-", "glptt-", "glcbt-", "glsoat-", "glagent-", "glimt-", "glft-"],
        r"\b(gl(?:dt|rt|ptt|cbt|soat|agent|imt|ft)-[A-Za-z0-9_-]{20,64})(?:[^A-Za-z0-9_-]|$)",
    ),
    Rule::token(
        "secret.atlassian-token",
        "Atlassian or Bitbucket token",
        High,
        &["atatt3", "atctt3", "atbb"],
        r"\b(AT(?:ATT|CTT)3[A-Za-z0-9_=-]{60,}|ATBB[A-Za-z0-9]{32})(?:[^A-Za-z0-9_=-]|$)",
    )
    .entropy(3.3),
    Rule::token(
        "secret.npm-token",
        "npm access token",
        Critical,
        &["npm_"],
        r"\b(npm_[A-Za-z0-9]{36})\b",
    )
    .check(Check::Crc),
    Rule::token(
        "secret.npmrc-auth",
        "npm registry credential",
        High,
        &["_authtoken", "_password", "_auth"],
        r#"(?m)^\s{0,8}(?://[^\s=]{1,}:)?_(?:authToken|auth|password)\s{0,4}=\s{0,4}["']?([^\s"'$]{16,})"#,
    )
    .scope(Scope::Text)
    .files(&[".npmrc", "npmrc"]),
    Rule::token(
        "secret.pypi-token",
        "PyPI upload token",
        Critical,
        &["pypi-ageichlwas5vcmc", "pypi-agenbgvzdc5wexbpl"],
        r"\b(pypi-(?:AgEIcHlwaS5vcmc|AgENdGVzdC5weXBpLm9yZ)[A-Za-z0-9_-]{50,})(?:[^A-Za-z0-9_-]|$)",
    )
    .window(8, 1000),
    Rule::token(
        "secret.rubygems-token",
        "RubyGems API key",
        Critical,
        &["rubygems_"],
        r"\b(rubygems_[a-f0-9]{48})\b",
    ),
    Rule::token(
        "secret.crates-token",
        "crates.io token",
        Critical,
        &["cio"],
        r"\b(cio[A-Za-z0-9]{32})\b",
    )
    .scope(Scope::Text)
    .entropy(3.8),
    Rule::token(
        "secret.nuget-key",
        "NuGet API key",
        High,
        &["oy2"],
        r"\b(oy2[a-z0-9]{43})\b",
    )
    .scope(Scope::Text)
    .entropy(3.3),
    Rule::token(
        "secret.dockerhub-token",
        "Docker Hub token",
        Critical,
        &["dckr_pat_", "dckr_oat_"],
        r"\b(dckr_[po]at_[A-Za-z0-9_-]{27,40})(?:[^A-Za-z0-9_-]|$)",
    ),
    Rule::token(
        "secret.docker-config-auth",
        "registry credential of a Docker configuration",
        High,
        &["\"auth\""],
        r#""auth"\s{0,4}:\s{0,4}"([A-Za-z0-9+/]{8,}={0,2})""#,
    )
    .scope(Scope::Text)
    .entropy(0.0)
    .check(Check::BasicAuth)
    .window(8, 1100),
    Rule::token(
        "secret.artifactory-token",
        "Artifactory key",
        High,
        &["akcp", "cmvmdgtu"],
        r"\b(AKCp[A-Za-z0-9]{69}|cmVmdGtu[A-Za-z0-9]{56})\b",
    )
    .entropy(3.3),
    Rule::token(
        "secret.huggingface-token",
        "Hugging Face token",
        High,
        &["hf_", "api_org_"],
        r"\b((?:hf|api_org)_[A-Za-z0-9]{34})\b",
    )
    .entropy(3.3),
    Rule::token(
        "secret.sentry-token",
        "Sentry token",
        Medium,
        &["sntrys_", "sntryu_"],
        r"\b(sntryu_[a-f0-9]{64}|sntrys_eyJ[A-Za-z0-9+/=_]{80,})(?:[^A-Za-z0-9+/=_]|$)",
    ),
    Rule::token(
        "secret.postman-key",
        "Postman API key",
        Medium,
        &["pmak-"],
        r"\b(PMAK-[a-f0-9]{24}-[a-f0-9]{34})\b",
    ),
];
