//! Private keys, signed tokens, password files and whatever is called a password.

use super::{Check, Rule, Scope};
use crate::model::finding::Severity::{High, Low, Medium};

pub(super) const RULES: &[Rule] = &[
    Rule::token(
        "secret.private-key",
        "private key",
        High,
        &["private key-----", "private key block-----"],
        r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----",
    )
    .scope(Scope::Text)
    .entropy(0.0)
    .check(Check::PrivateKey)
    .window(48, 64),
    Rule::token(
        "secret.jwt",
        "JSON Web Token",
        Medium,
        &["eyj"],
        r"\b(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,})(?:[^A-Za-z0-9_-]|$)",
    )
    .scope(Scope::Text)
    .entropy(3.5)
    .check(Check::Jwt)
    .window(8, 7200),
    Rule::token(
        "secret.netrc-password",
        "password of a .netrc file",
        High,
        &[],
        r#"(?:machine\s{1,8}\S{1,}|default)\s{1,8}(?:login\s{1,8}\S{1,}\s{1,8})?passw(?:or)?d\s{1,8}["']?([^\s"']{3,})"#,
    )
    .scope(Scope::Text)
    .entropy(1.0)
    .files(&[".netrc", "_netrc", "netrc"]),
    Rule::token(
        "secret.pgpass-password",
        "PostgreSQL password file",
        High,
        &[],
        r"(?m)^[^\s:#][^:\n]{0,}:[^:\n]{1,8}:[^:\n]{1,64}:[^:\n]{1,64}:([^\n]{3,})$",
    )
    .scope(Scope::Text)
    .entropy(1.0)
    .files(&[".pgpass", "pgpass.conf"]),
    Rule::token(
        "secret.htpasswd-hash",
        "password hash of an htpasswd file",
        Medium,
        &[],
        r"(?m)^[^\s:#]{1,128}:(\$2[aby]\$[^\s:]{40,80}|\$apr1\$[^\s:]{20,60}|\{SHA\}[^\s:]{20,40}|\$[56]\$[^\s:]{30,160})",
    )
    .scope(Scope::Text)
    .files(&[".htpasswd", "htpasswd"]),
    Rule::token(
        "secret.git-credentials",
        "stored git credential",
        High,
        &[],
        r"(?m)^https?://[^\s:/@]{1,128}:([^\s@]{3,})@",
    )
    .scope(Scope::Text)
    .entropy(1.0)
    .files(&[".git-credentials", "git-credentials"]),
    Rule::token(
        "secret.maven-password",
        "password of Maven settings",
        High,
        &["<password>"],
        r"<password>([^<${\s]{4,})</password>",
    )
    .scope(Scope::Text)
    .entropy(2.0)
    .files(&["settings.xml"]),
    Rule::token(
        "secret.url-password",
        "password in an address",
        Medium,
        &["://"],
        r#"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@"'<>()\[\]{}$]{0,64}:([^\s/@:"'<>()\[\]{}$%*]{5,128})@[A-Za-z0-9\[][A-Za-z0-9.:\]_-]{1,128}"#,
    )
    .scope(Scope::Text)
    .entropy(2.5)
    .check(Check::Password)
    .window(24, 360),
    Rule::token(
        "secret.generic",
        "credential",
        Medium,
        &[
            "passwd", "password", "passphrase", "secret", "token", "api_key", "apikey", "api-key",
            "access_key", "accesskey", "access-key", "auth_key", "private_key", "credential",
            "encryption_key", "signing_key",
        ],
        r#"(?i)(?:passwd|password|passphrase|secret|token|api[_-]?key|access[_-]?key|auth_key|private_key|credential|encryption_key|signing_key)[\w.-]{0,24}["']?[ \t]{0,4}(?:=>|:=|=|:)[ \t]{0,4}["']?([^\s"'`,;<>(){}\[\]$]{8,160})"#,
    )
    .scope(Scope::Config)
    .entropy(3.3)
    .check(Check::Password)
    .window(8, 240),
    Rule::token(
        "secret.password-hash",
        "password hash in a configuration file",
        Low,
        &["$2a$", "$2b$", "$2y$", "$argon2"],
        r"(\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}|\$argon2(?:id|i|d)\$v=[0-9]{1,3}\$[A-Za-z0-9=,]{5,40}\$[A-Za-z0-9+/]{8,64}\$[A-Za-z0-9+/]{16,100})",
    )
    .scope(Scope::Config),
];
