//! What a path says about the secrets a file may hold.

use super::rules::Scope;

/// Below these, nothing is anybody's credential: manuals, locale data, package databases.
const SILENT: &[&str] = &[
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/locale/",
    "usr/share/i18n/",
    "usr/share/zoneinfo/",
    "usr/share/mime/",
    "usr/share/terminfo/",
    "usr/share/bash-completion/",
    "usr/share/zsh/",
    "usr/share/fonts/",
    "usr/share/icons/",
    "usr/share/licenses/",
    "usr/share/vim/",
    "usr/lib/locale/",
    "usr/lib/modules/",
    "usr/include/",
    "var/lib/dpkg/info/",
    "var/lib/apt/lists/",
    "var/lib/rpm/",
    "lib/apk/db/",
];

/// Folders of installed libraries, tests and documentation: keys there are somebody's fixtures.
const FOREIGN: &[&str] = &[
    "node_modules",
    "site-packages",
    "dist-packages",
    "bower_components",
    "vendor",
    "gems",
    "test",
    "tests",
    "testdata",
    "test-data",
    "__tests__",
    "fixtures",
    "spec",
    "example",
    "examples",
    "doc",
    "docs",
];

/// Endings of files that hold hashes or generated text instead of credentials.
const GENERATED: &[&str] = &[
    ".lock",
    "-lock.json",
    "-lock.yaml",
    ".sum",
    ".map",
    ".min.js",
    ".min.css",
    ".svg",
    ".pyc",
    ".css",
    ".md5sums",
    ".list",
    ".dist-info/record",
];

const CONFIG_ENDINGS: &[&str] = &[
    ".env",
    ".ini",
    ".conf",
    ".cfg",
    ".cnf",
    ".config",
    ".toml",
    ".yaml",
    ".yml",
    ".json",
    ".properties",
    ".xml",
    ".sh",
    ".tfvars",
    ".plist",
    ".secret",
    ".credentials",
    ".txt",
    ".pgpass",
    ".npmrc",
    ".pypirc",
    ".bashrc",
    ".profile",
    ".bash_history",
    ".zsh_history",
    ".service",
];

const CONFIG_NAMES: &[&str] = &[
    "credentials",
    "credential",
    "config",
    "secrets",
    "secret",
    "dockerfile",
    "environment",
    "env",
    "settings.py",
    "wp-config.php",
    "password",
    "passwords",
    ".my.cnf",
    ".s3cfg",
    "token",
];

/// The weakest rules that may run on this path; `None` where none may.
pub(super) fn weakest(path: &str) -> Option<Scope> {
    let path = path.to_ascii_lowercase();
    if SILENT.iter().any(|silent| path.starts_with(silent)) {
        return None;
    }
    let name = base(&path);
    if GENERATED.iter().any(|ending| path.ends_with(ending)) || foreign(&path) {
        return Some(Scope::Token);
    }
    let config = CONFIG_NAMES.contains(&name)
        || name.starts_with(".env")
        || name.starts_with("dockerfile")
        || CONFIG_ENDINGS.iter().any(|ending| name.ends_with(ending));
    Some(if config { Scope::Config } else { Scope::Text })
}

/// Perl and Python of the distribution keep test keys and sample code in their own libraries.
fn foreign(path: &str) -> bool {
    path.starts_with("usr/share/perl")
        || path.starts_with("usr/lib/python")
        || path.starts_with("usr/lib/x86_64-linux-gnu/perl")
        || path.split('/').rev().skip(1).any(|folder| FOREIGN.contains(&folder))
}

/// The file's name without its folders.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
