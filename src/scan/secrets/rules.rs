//! The secret rules as data: what each looks like, where it may stand and what proves it.

mod cloud;
mod forge;
mod general;
mod service;

use crate::model::finding::Severity;

/// One kind of credential.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Stable id, `secret.…`.
    pub id: &'static str,
    /// What it is, for people.
    pub name: &'static str,
    /// How bad.
    pub severity: Severity,
    /// Any of these must occur, in whatever case, before the pattern is tried; empty for rules that
    /// name their files.
    pub keywords: &'static [&'static str],
    /// The pattern; group 1, where there is one, is the secret itself.
    pub pattern: &'static str,
    /// Smallest Shannon entropy of the secret, bits per byte.
    pub entropy: f64,
    /// Where it may stand.
    pub scope: Scope,
    /// File names it is bound to; empty for all.
    pub files: &'static [&'static str],
    /// What proves or refutes a match.
    pub check: Check,
    /// Bytes looked at before and after a keyword.
    pub window: (usize, usize),
}

/// Where a rule applies; each one includes the places of those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Only configuration-like text files; loses against every other rule at the same place.
    Config,
    /// Text files outside of installed libraries, tests and examples.
    Text,
    /// Any file, binaries and libraries included: the shape alone is proof enough.
    Token,
}

/// What is asked of a match beyond its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Nothing.
    None,
    /// Six base-62 digits of the CRC-32 of what stands between the prefix's `_` and them.
    Crc,
    /// A JSON header with `alg`, base64url.
    Jwt,
    /// A body of base64 after the header line; encrypted ones weigh less.
    PrivateKey,
    /// Base64 of `user:password`.
    BasicAuth,
    /// A password people would choose a machine for: mixed characters, no plain word.
    Password,
}

impl Rule {
    const fn token(
        id: &'static str,
        name: &'static str,
        severity: Severity,
        keywords: &'static [&'static str],
        pattern: &'static str,
    ) -> Self {
        Self {
            id,
            name,
            severity,
            keywords,
            pattern,
            entropy: 2.8,
            scope: Scope::Token,
            files: &[],
            check: Check::None,
            window: (96, 512),
        }
    }

    const fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    const fn entropy(self, entropy: f64) -> Self {
        Self { entropy, ..self }
    }

    const fn check(self, check: Check) -> Self {
        Self { check, ..self }
    }

    const fn files(self, files: &'static [&'static str]) -> Self {
        Self { files, ..self }
    }

    const fn window(self, before: usize, after: usize) -> Self {
        Self { window: (before, after), ..self }
    }
}

/// Every rule, the most telling ones first.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [cloud::RULES, forge::RULES, service::RULES, general::RULES].into_iter().flatten()
}
