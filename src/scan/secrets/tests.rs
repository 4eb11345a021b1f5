//! What the secret rules find, what they leave alone and what they never print.

use std::collections::BTreeMap;

use super::*;

fn secrets() -> Secrets {
    Secrets::new().unwrap()
}

fn inspect(path: &str, content: impl AsRef<[u8]>) -> Vec<Finding> {
    secrets().inspect(&FileSeen { layer: "3", path, content: content.as_ref() })
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.id.as_str()).collect()
}

/// Text without a pattern that a rule could lean on; the same on every run.
fn noise(alphabet: &str, length: usize) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        letters[(state >> 16) as usize % letters.len()]
    };
    (0..length).map(|_| next()).collect()
}

const ALNUM: &str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn sealed(prefix: &str) -> String {
    let body = noise(ALNUM, 30);
    let mut crc = flate2::Crc::new();
    crc.update(body.as_bytes());
    format!("{prefix}{body}{}", String::from_utf8_lossy(&judge::base62(crc.sum())))
}

#[test]
fn each_provider_is_found_with_its_line_and_never_printed_whole() {
    let cases = [
        ("secret.github-token", sealed("ghp_")),
        ("secret.github-app-token", sealed("ghs_")),
        ("secret.npm-token", sealed("npm_")),
        (
            "secret.github-fine-grained-token",
            format!("github_pat_{}_{}", noise(ALNUM, 22), noise(ALNUM, 59)),
        ),
        ("secret.gitlab-token", format!("glpat-{}", noise(ALNUM, 20))),
        ("secret.aws-access-key-id", format!("AKIA{}", noise(UPPER, 16))),
        ("secret.gcp-api-key", format!("AIza{}", noise(ALNUM, 35))),
        ("secret.azure-storage-key", format!("AccountKey={}==", noise(ALNUM, 86))),
        ("secret.azure-client-secret", format!("a1b8Q~{}", noise(ALNUM, 34))),
        ("secret.pypi-token", format!("pypi-AgEIcHlwaS5vcmc{}", noise(ALNUM, 120))),
        ("secret.dockerhub-token", format!("dckr_pat_{}", noise(ALNUM, 27))),
        ("secret.slack-token", format!("xoxb-{}-{}", noise("0123456789", 12), noise(ALNUM, 24))),
        (
            "secret.slack-webhook",
            format!(
                "https://hooks.slack.com/services/T{}/B{}/{}",
                noise(UPPER, 8),
                noise(UPPER, 10),
                noise(ALNUM, 24)
            ),
        ),
        ("secret.stripe-live-key", format!("sk_live_{}", noise(ALNUM, 24))),
        ("secret.sendgrid-key", format!("SG.{}.{}", noise(ALNUM, 22), noise(ALNUM, 43))),
        ("secret.mailchimp-key", format!("{}-us12", noise(HEX, 32))),
        ("secret.twilio-key", format!("TWILIO_AUTH = '{}'", noise(HEX, 32))),
        ("secret.vault-token", format!("hvs.{}", noise(ALNUM, 96))),
        ("secret.terraform-token", format!("{}.atlasv1.{}", noise(ALNUM, 14), noise(ALNUM, 64))),
        ("secret.digitalocean-token", format!("dop_v1_{}", noise(HEX, 64))),
        ("secret.huggingface-token", format!("hf_{}", noise(ALNUM, 34))),
        ("secret.openai-key", format!("sk-proj-{}", noise(ALNUM, 60))),
        ("secret.anthropic-key", format!("sk-ant-api03-{}", noise(ALNUM, 95))),
        ("secret.shopify-token", format!("shpat_{}", noise(HEX, 32))),
        ("secret.telegram-bot-token", format!("{}:AA{}", noise("123456789", 9), noise(ALNUM, 33))),
        (
            "secret.age-secret-key",
            format!("AGE-SECRET-KEY-1{}", noise("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)),
        ),
        ("secret.rubygems-token", format!("rubygems_{}", noise(HEX, 48))),
    ];
    for (id, token) in cases {
        let found = inspect("srv/app/settings.py", format!("first = 1\nvalue = '{token}'\n"));
        assert_eq!(ids(&found), [id], "{token}");
        assert!(found[0].title.contains("srv/app/settings.py:2"), "{}", found[0].title);
        let secret = token.rsplit(['=', ' ', '\'']).find(|part| part.len() > 8).unwrap_or(&token);
        let longest = (3..secret.len()).rev().find(|n| {
            (0..=secret.len() - n).any(|at| found[0].title.contains(&secret[at..at + n]))
        });
        assert!(longest.unwrap_or(0) <= 8, "{id} shows too much: {}", found[0].title);
        assert_eq!((found[0].kind, found[0].layer.as_deref()), (Kind::Secret, Some("3")));
    }
}

#[test]
fn a_wrong_checksum_is_a_doubt_and_not_an_alarm() {
    let good = inspect("app/.env", format!("X={}", sealed("ghp_")));
    let bad = inspect("app/.env", format!("X=ghp_{}", noise(ALNUM, 36)));
    assert_eq!(good[0].severity, Severity::Critical);
    assert_eq!(bad[0].severity, Severity::Medium);
    assert!(bad[0].title.contains("checksum"));
}

#[test]
fn the_checksum_is_the_published_one() {
    // The pair that GitHub's own announcement of the format is usually explained with.
    let mut crc = flate2::Crc::new();
    crc.update(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ");
    assert_eq!(&judge::base62(crc.sum()), b"0mLq17");
}

#[test]
fn placeholders_and_documented_keys_are_left_alone() {
    for line in [
        concat!("aws_access_key_id = AKIA", "IOSFODNN7EXAMPLE"),
        "GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "token: ${GITHUB_TOKEN}",
        "password = \"<your password here>\"",
        "password: changeme",
        "api_key = 00000000000000000000",
        "secret_key = os.environ['KEY']",
        "password_file = /run/secrets/password1",
        "url = https://user:password@example.com/",
    ] {
        assert_eq!(ids(&inspect("app/app.conf", line)), Vec::<&str>::new(), "{line}");
    }
}

fn key(kind: &str, first: &str) -> String {
    let body = noise(ALNUM, 64);
    format!(
        "-----BEGIN {kind}PRIVATE KEY-----\n{first}{body}\n{body}\n-----END {kind}PRIVATE KEY-----\n"
    )
}

#[test]
fn private_keys_need_a_body_and_weigh_less_behind_a_passphrase() {
    assert_eq!(inspect("etc/tls/a.key", key("RSA ", ""))[0].severity, Severity::High);
    assert_eq!(inspect("etc/tls/a.key", key("", ""))[0].severity, Severity::High);
    let locked = key("RSA ", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n");
    assert_eq!(inspect("etc/tls/a.key", locked)[0].severity, Severity::Low);
    assert_eq!(inspect("etc/tls/a.key", key("ENCRYPTED ", ""))[0].severity, Severity::Low);
    let one_line = format!("{{\"key\": \"{}\"}}", key("", "").replace('\n', "\\n"));
    assert_eq!(ids(&inspect("app/key.json", one_line)), ["secret.private-key"]);
    assert!(inspect("bin/tool", "printf -----BEGIN RSA PRIVATE KEY-----\n").is_empty());
    let certificate = key("", "").replace("PRIVATE KEY", "CERTIFICATE");
    assert!(inspect("etc/ssl/certs/ca-certificates.crt", certificate).is_empty());
}

#[test]
fn an_openssh_key_tells_whether_it_is_protected() {
    use base64::Engine as _;
    let with = |cipher: &str| {
        let mut bytes = b"openssh-key-v1\0\0\0\0".to_vec();
        bytes.push(cipher.len() as u8);
        bytes.extend(cipher.bytes());
        bytes.extend(noise(ALNUM, 80).bytes());
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n{}\n-----END", &text[..70], &text[70..])
    };
    assert_eq!(inspect("root/.ssh/id_ed25519", with("none"))[0].severity, Severity::High);
    assert_eq!(inspect("root/.ssh/id_ed25519", with("aes256-ctr"))[0].severity, Severity::Low);
}

#[test]
fn binaries_and_libraries_are_only_searched_for_tokens() {
    let mut content = b"\x7fELF\0\0".to_vec();
    content.extend(key("RSA ", "").bytes());
    content.extend(format!("\0{}\0", sealed("ghp_")).bytes());
    assert_eq!(ids(&inspect("usr/bin/tool", &content)), ["secret.github-token"]);
    let text = format!("password = {}\n{}", noise(ALNUM, 24), key("RSA ", ""));
    assert_eq!(inspect("etc/app.conf", &text).len(), 2);
    assert!(inspect("app/node_modules/x/test.conf", &text).is_empty());
    assert!(inspect("usr/share/doc/x/app.conf", &text).is_empty());
}

#[test]
fn files_that_hold_passwords_by_their_name() {
    let cases = [
        (
            "root/.netrc",
            "machine git.corp.internal login ci password hunter22\n",
            "secret.netrc-password",
        ),
        ("root/.pgpass", "db.corp.internal:5432:*:app:hunter22\n", "secret.pgpass-password"),
        (
            "etc/nginx/.htpasswd",
            "joe:$apr1$q9bAzk1m$5NBVpTd3fQ2bM1cYv0xYz.\n",
            "secret.htpasswd-hash",
        ),
        (
            "root/.git-credentials",
            "https://ci:hunter22@git.corp.internal\n",
            "secret.git-credentials",
        ),
        (
            "root/.docker/config.json",
            "{\"auths\":{\"r\":{\"auth\": \"Y2k6aHVudGVyMjI=\"}}}",
            "secret.docker-config-auth",
        ),
    ];
    for (path, text, id) in cases {
        let found = inspect(path, text);
        assert!(ids(&found).contains(&id), "{path}: {found:?}");
        assert!(found.iter().all(|finding| !finding.title.contains("hunter22")));
    }
}

#[test]
fn signed_tokens_need_a_header() {
    let body = format!("eyJzdWIiOiJjaSJ9.{}", noise(ALNUM, 43));
    let good = inspect("app/x.txt", format!("eyJhbGciOiJIUzI1NiJ9.{body}"));
    assert_eq!(ids(&good), ["secret.jwt"]);
    assert!(inspect("app/x.txt", format!("eyJhbXciOiJIUzI1NiJ9.{body}")).is_empty());
}

#[test]
fn a_provider_rule_beats_the_generic_one_and_repeats_are_one_finding() {
    let token = sealed("ghp_");
    let found = inspect("app/.env", format!("TOKEN={token}\nB=1\nTOKEN={token}\n"));
    assert_eq!(ids(&found), ["secret.github-token"]);
    assert!(found[0].title.contains("lines 1, 3"), "{}", found[0].title);
    let generic = inspect("app/.env", format!("DB_PASSWORD={}\n", noise(ALNUM, 20)));
    assert_eq!(ids(&generic), ["secret.generic"]);
}

#[test]
fn the_environment_is_searched_too() {
    let token = sealed("ghp_");
    let config = ImageConfig {
        env: vec!["PATH=/usr/bin".into(), format!("CI_TOKEN={token}")],
        labels: BTreeMap::from([("note".into(), format!("AKIA{}", noise(UPPER, 16)))]),
        history: vec!["FROM scratch".into(), format!("RUN |1 CI_TOKEN={token} /bin/sh -c make")],
        ..ImageConfig::default()
    };
    let found = secrets().environment(&config);
    assert_eq!(ids(&found), ["secret.github-token", "secret.aws-access-key-id"]);
    assert!(found[0].title.contains("environment variable CI_TOKEN"), "{}", found[0].title);
    assert!(found[0].title.contains("build history step 2"), "{}", found[0].title);
    assert!(found.iter().all(|finding| finding.path.is_none()));
}

#[test]
fn hostile_content_costs_little_and_breaks_nothing() {
    let mut text = "password=token=secret=://eyJ".repeat(20_000).into_bytes();
    text.extend([0xff, 0xfe, b'\n']);
    assert!(inspect("a/b.conf", &text).len() <= 50);
    assert!(inspect("", b"").is_empty());
    let token = sealed("ghp_");
    let found = inspect("a\n\u{1b}[31mb", format!("{token}\n"));
    assert!(!found[0].title.chars().any(char::is_control));
}

#[test]
fn ids_are_unique_and_keywords_are_lower_case() {
    let mut seen = std::collections::BTreeSet::new();
    for rule in rules::all() {
        assert!(seen.insert(rule.id), "{} twice", rule.id);
        assert!(rule.keywords.iter().all(|word| *word == word.to_lowercase()), "{}", rule.id);
        assert!(!rule.keywords.is_empty() || !rule.files.is_empty(), "{} never runs", rule.id);
    }
    assert!(seen.len() >= 70);
}

#[test]
fn the_planted_token_of_the_sample_is_found_as_a_real_one() {
    let file = include_str!("../../../pipelines/sample/tools/deploy/config/deploy.env");
    let found = inspect("opt/app/deploy.env", file);
    assert_eq!(ids(&found), ["secret.github-token"]);
    assert_eq!(found[0].severity, Severity::Critical);
}
