//! Checks of an image's configuration, history and files.
//!
//! Numbers are those of the CIS Docker Benchmark, section 4; what has no number there goes by name.

use std::collections::BTreeMap;

use crate::model::finding::{Finding, Kind, Severity};
use crate::model::inventory::{FileRef, ImageConfig, Inventory};
use crate::model::text::is_hidden;

/// Setuid and setgid files that a plain Debian, Alpine or Fedora base brings.
const KNOWN_SETUID: &[&str] = &[
    "su",
    "passwd",
    "mount",
    "umount",
    "chsh",
    "chfn",
    "newgrp",
    "gpasswd",
    "chage",
    "expiry",
    "unix_chkpwd",
    "wall",
    "write",
    "sg",
    "pam_timestamp_check",
    "bbsuid",
    "utempter",
    "dotlockfile",
];
const PACKAGE_MANAGERS: &[&str] = &[
    "apt", "apt-get", "aptitude", "dpkg", "apk", "yum", "dnf", "microdnf", "rpm", "zypper", "tdnf",
    "pip", "pip3", "npm", "gem",
];
const SHELLS: &[&str] =
    &["sh", "bash", "dash", "ash", "zsh", "ksh", "csh", "tcsh", "fish", "busybox"];
const SYSTEM_FOLDERS: &[&str] =
    &["bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr"];
/// Words of an environment variable's name that promise a credential.
const CREDENTIAL_WORDS: &[&str] = &[
    "PASS",
    "PASSWD",
    "PASSWORD",
    "PASSPHRASE",
    "SECRET",
    "SECRETS",
    "KEY",
    "APIKEY",
    "TOKEN",
    "CREDENTIAL",
    "CREDENTIALS",
];

/// Every image check on one inventory; findings of kind `check`, worst first.
pub fn checks(inventory: &Inventory) -> Vec<Finding> {
    let mut found = Vec::new();
    // A root folder is one layer without a digest, and has no configuration to check.
    let is_image = inventory.layers.iter().all(|layer| !layer.digest.is_empty());
    if is_image {
        configuration(inventory, &mut found);
    }
    history(&inventory.config.history, &mut found);
    setuid(&inventory.files.setuid, &mut found);
    files(inventory, &mut found);
    accounts(inventory, &mut found);
    found.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
    found
}

fn check(id: &str, severity: Severity, title: String, remedy: &str) -> Finding {
    Finding {
        id: format!("check.{id}"),
        kind: Kind::Check,
        severity,
        title,
        remedy: remedy.to_owned(),
        ..Finding::default()
    }
}

fn configuration(inventory: &Inventory, found: &mut Vec<Finding>) {
    let config = &inventory.config;
    if root(config, inventory.files.passwd.as_deref()) {
        found.push(check(
            "cis-4.1",
            Severity::Medium,
            "runs as root (CIS 4.1)".into(),
            "create an account in the Dockerfile and end with USER",
        ));
    }
    if !config.healthcheck {
        found.push(check(
            "cis-4.6",
            Severity::Low,
            "has no health check (CIS 4.6)".into(),
            "add a HEALTHCHECK to the Dockerfile",
        ));
    }
    if let Some(names) = listed(credentials(&config.env)) {
        found.push(check(
            "cis-4.10",
            Severity::Medium,
            format!("environment looks like credentials: {names} (CIS 4.10)"),
            "hand credentials over at run time, never by ENV; revoke the ones that were built in",
        ));
    }
    if let Some(volumes) = listed(config.volumes.iter().filter(|v| system(v)).map(String::as_str)) {
        found.push(check(
            "system-volume",
            Severity::Medium,
            format!("declares volumes on system folders: {volumes}"),
            "keep volumes to the application's own data folders",
        ));
    }
    if config.ports.iter().any(|port| port == "22" || port == "22/tcp") {
        found.push(check(
            "ssh-port",
            Severity::Medium,
            "exposes the SSH port 22".into(),
            "leave the SSH server out; use the platform's own way into a container",
        ));
    }
}

/// Whether the configured account is root: by name, by number, or by the number behind its name.
fn root(config: &ImageConfig, passwd: Option<&str>) -> bool {
    let user = config.user.split(':').next().unwrap_or_default().trim();
    let number = |name: &str| {
        let line = passwd?.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(2)
    };
    let zero = |id: &str| !id.is_empty() && id.bytes().all(|digit| digit == b'0');
    user.is_empty() || user == "root" || zero(user) || number(user).is_some_and(zero)
}

fn credentials(env: &[String]) -> impl Iterator<Item = &str> {
    env.iter().filter_map(|entry| {
        let (key, value) = entry.split_once('=')?;
        let upper = key.to_ascii_uppercase();
        let named = upper.split(['_', '-', '.']).any(|word| CREDENTIAL_WORDS.contains(&word))
            || ["PASSWORD", "SECRET", "TOKEN", "APIKEY"].iter().any(|end| upper.ends_with(end));
        // Fingerprints of public keys, and paths to where the credential is mounted.
        let public = upper.contains("GPG") || upper.contains("PUBLIC") || upper.ends_with("_FILE");
        (named && !public && !placeholder(value)).then_some(key)
    })
}

fn placeholder(value: &str) -> bool {
    let lower = value.trim().to_ascii_lowercase();
    lower.is_empty()
        || lower.starts_with(['$', '<', '/', '{'])
        || ["true", "false", "none", "null", "changeme", "0", "1"].contains(&lower.as_str())
        || lower.chars().all(|c| c == 'x' || c == '*')
}

fn system(volume: &str) -> bool {
    let path = volume.trim_matches('/');
    path.is_empty() || path.split('/').next().is_some_and(|top| SYSTEM_FOLDERS.contains(&top))
}

fn history(history: &[String], found: &mut Vec<Finding>) {
    let step = |of: &dyn Fn(&str) -> bool| history.iter().position(|step| of(step)).map(|n| n + 1);
    if let Some(n) =
        step(&|step| updates(step) && !["install", "upgrade"].iter().any(|w| step.contains(w)))
    {
        found.push(check(
            "cis-4.7",
            Severity::Low,
            format!("history step {n} updates the package index alone (CIS 4.7)"),
            "update and install in one RUN, or a cached index hides newer packages",
        ));
    }
    // A base's first step adds its root file system, which only ADD can do.
    if let Some(n) = history.iter().skip(1).position(|step| adds(step)) {
        found.push(check(
            "cis-4.9",
            Severity::Low,
            format!("history step {} uses ADD (CIS 4.9)", n + 2),
            "use COPY; ADD unpacks archives and fetches addresses",
        ));
    }
    let whole = |step: &str| {
        step.contains("apt") && ["dist-upgrade", "full-upgrade"].iter().any(|w| step.contains(w))
    };
    if let Some(n) = step(&whole) {
        found.push(check(
            "dist-upgrade",
            Severity::Low,
            format!("history step {n} upgrades the whole distribution"),
            "take a newer base instead, or upgrade only what is needed",
        ));
    }
}

fn updates(step: &str) -> bool {
    ["apt-get update", "apt update", "apk update", "apt-get -y update", "apt-get -q update"]
        .iter()
        .any(|command| step.contains(command))
}

fn adds(step: &str) -> bool {
    let step = step.strip_prefix("/bin/sh -c #(nop)").unwrap_or(step).trim_start();
    step.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("ADD "))
}

fn setuid(files: &[FileRef], found: &mut Vec<Finding>) {
    let (known, unknown): (Vec<_>, Vec<_>) =
        files.iter().partition(|file| KNOWN_SETUID.contains(&base(&file.path)));
    for file in unknown {
        let bit = if file.mode & 0o4000 != 0 { "setuid" } else { "setgid" };
        let mut finding = check(
            "cis-4.8",
            Severity::Medium,
            format!("{bit} file {} (CIS 4.8)", plain(&file.path)),
            "remove the bit with chmod a-s, or the file",
        );
        finding.path = Some(file.path.clone());
        finding.layer = Some(file.layer.clone()).filter(|layer| !layer.is_empty());
        found.push(finding);
    }
    if let Some(names) = listed(known.iter().map(|file| base(&file.path))) {
        found.push(check(
            "cis-4.8-base",
            Severity::Low,
            format!("{} setuid or setgid files of the base: {names} (CIS 4.8)", known.len()),
            "remove the bits with chmod a-s where nobody changes accounts in the container",
        ));
    }
}

fn files(inventory: &Inventory, found: &mut Vec<Finding>) {
    let facts = &inventory.files;
    let open =
        |file: &&FileRef| !["dev/", "proc/", "sys/"].iter().any(|top| file.path.starts_with(top));
    let writable: Vec<&FileRef> = facts.world_writable.iter().filter(open).collect();
    if let Some(names) = listed(writable.iter().map(|file| file.path.as_str())) {
        found.push(check(
            "world-writable",
            Severity::Medium,
            format!("{} files or folders that everybody may write: {names}", writable.len()),
            "chmod o-w, or the sticky bit on shared folders",
        ));
    }
    if let Some(names) = listed(facts.caches.iter().map(|file| file.path.as_str())) {
        found.push(check(
            "package-cache",
            Severity::Low,
            format!("package caches left behind: {names}"),
            "remove them in the RUN that fills them",
        ));
    }
    let tool = |names: &[&str]| {
        let mut present: Vec<&str> = facts.tools.iter().map(|file| base(&file.path)).collect();
        present.retain(|name| names.contains(name));
        present.sort_unstable();
        present.dedup();
        listed(present.into_iter())
    };
    let kinds: [(&str, Severity, &[&str], &str, &str); 3] = [
        (
            "sudo",
            Severity::Medium,
            &["sudo", "doas"],
            "sudo is installed",
            "remove it; start the container as the account that is needed",
        ),
        (
            "package-manager",
            Severity::Low,
            PACKAGE_MANAGERS,
            "package managers are inside",
            "copy the application into an image without them",
        ),
        (
            "shell",
            Severity::Negligible,
            SHELLS,
            "shells are inside",
            "copy the application into an image without them",
        ),
    ];
    for (id, severity, names, title, remedy) in kinds {
        if let Some(present) = tool(names) {
            found.push(check(id, severity, format!("{title}: {present}"), remedy));
        }
    }
}

fn accounts(inventory: &Inventory, found: &mut Vec<Finding>) {
    let facts = &inventory.files;
    let (passwd, shadow) =
        (facts.passwd.as_deref().unwrap_or(""), facts.shadow.as_deref().unwrap_or(""));
    let mut open: Vec<&str> =
        passwd.lines().chain(shadow.lines()).filter_map(no_password).collect();
    open.sort_unstable();
    open.dedup();
    if let Some(names) = listed(open.into_iter()) {
        found.push(check(
            "empty-password",
            Severity::High,
            format!("accounts without a password: {names}"),
            "lock them with passwd -l",
        ));
    }
    for (id, text, what) in [
        ("duplicate-uid", passwd, "user"),
        ("duplicate-gid", facts.group.as_deref().unwrap_or(""), "group"),
    ] {
        let shared = shared(text);
        if let Some(names) = listed(shared.iter().map(String::as_str)) {
            found.push(check(
                id,
                Severity::Medium,
                format!("{what} numbers with several names: {names}"),
                "give each account its own number",
            ));
        }
    }
}

/// The account of a passwd or shadow line whose second field is empty.
fn no_password(line: &str) -> Option<&str> {
    let mut fields = line.split(':');
    let (name, hash) = (fields.next()?, fields.next()?);
    (!name.is_empty() && !name.starts_with(['#', '+', '-']) && hash.is_empty()).then_some(name)
}

/// `0 (root, toor)` for each number that stands behind more than one name.
fn shared(text: &str) -> Vec<String> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [name, _, id, ..] = fields[..]
            && !id.is_empty()
        {
            names.entry(id).or_default().push(name);
        }
    }
    names.retain(|_, names| names.len() > 1);
    names.iter().map(|(id, names)| format!("{id} ({})", names.join(", "))).collect()
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The first five and how many more; `None` where there are none.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    let first: Vec<String> = names.iter().take(5).map(|name| plain(name)).collect();
    match names.len() {
        0 => None,
        n if n <= 5 => Some(first.join(", ")),
        n => Some(format!("{} and {} more", first.join(", "), n - 5)),
    }
}

/// Text from inside an image, fit for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::inventory::{FileFacts, Layer};

    fn file(path: &str, mode: u32) -> FileRef {
        FileRef { path: path.into(), mode, layer: "sha256:1".into() }
    }

    /// What a plain Debian base looks like, run as an ordinary account with a health check.
    fn plain_base() -> Inventory {
        Inventory {
            config: ImageConfig {
                user: "app".into(),
                healthcheck: true,
                env: vec!["PATH=/usr/bin".into()],
                history: vec!["ADD rootfs.tar / # buildkit".into()],
                ..ImageConfig::default()
            },
            files: FileFacts {
                setuid: vec![file("usr/bin/su", 0o4755), file("usr/bin/wall", 0o2755)],
                passwd: Some("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n".into()),
                shadow: Some("root:*:1::::::\napp:!:1::::::\n".into()),
                group: Some("root:x:0:\napp:x:1000:\n".into()),
                tools: vec![file("usr/bin/apt-get", 0o755), file("bin/sh", 0o755)],
                ..FileFacts::default()
            },
            ..Inventory::default()
        }
    }

    fn ids(inventory: &Inventory) -> Vec<String> {
        checks(inventory).into_iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn a_plain_base_gives_a_handful_of_low_findings() {
        assert_eq!(
            ids(&plain_base()),
            ["check.cis-4.8-base", "check.package-manager", "check.shell"]
        );
    }

    #[test]
    fn root_is_seen_behind_every_spelling() {
        for user in ["", "root", "0", "0:0", "root:root", "toor", "000"] {
            let mut inventory = plain_base();
            inventory.config.user = user.into();
            inventory.files.passwd = Some("toor:x:0:0::/:/bin/sh\n".into());
            assert!(ids(&inventory).contains(&"check.cis-4.1".to_owned()), "{user:?}");
        }
        for user in ["app", "1000", "1000:0"] {
            let mut inventory = plain_base();
            inventory.config.user = user.into();
            assert!(!ids(&inventory).contains(&"check.cis-4.1".to_owned()), "{user:?}");
        }
    }

    #[test]
    fn a_root_folder_has_no_configuration_to_check() {
        let mut inventory = plain_base();
        inventory.config = ImageConfig::default();
        inventory.layers = vec![Layer { digest: "sha256:1".into(), ..Layer::default() }];
        assert!(ids(&inventory).contains(&"check.cis-4.1".to_owned()));
        inventory.layers[0].digest.clear();
        assert_eq!(ids(&inventory), ["check.cis-4.8-base", "check.package-manager", "check.shell"]);
    }

    #[test]
    fn unknown_setuid_files_stand_alone_with_their_layer() {
        let mut inventory = plain_base();
        inventory.files.setuid.push(file("opt/tool", 0o4755));
        let found = checks(&inventory);
        assert_eq!(found[0].id, "check.cis-4.8");
        assert_eq!(found[0].severity, Severity::Medium);
        assert_eq!(found[0].path.as_deref(), Some("opt/tool"));
        assert_eq!(found[0].layer.as_deref(), Some("sha256:1"));
    }

    #[test]
    fn the_history_tells_of_add_and_lone_updates() {
        let mut inventory = plain_base();
        inventory.config.history.extend([
            "RUN /bin/sh -c apt-get update && apt-get install -y curl # buildkit".into(),
            "COPY a b # buildkit".into(),
        ]);
        assert_eq!(ids(&inventory).len(), 3);
        inventory.config.history.extend([
            "RUN /bin/sh -c apt-get update # buildkit".into(),
            "/bin/sh -c #(nop) ADD file:1 in /srv".into(),
            "RUN /bin/sh -c apt-get -y dist-upgrade # buildkit".into(),
        ]);
        let found = checks(&inventory);
        let title = |id: &str| found.iter().find(|f| f.id == id).map(|f| f.title.as_str());
        assert_eq!(
            title("check.cis-4.7"),
            Some("history step 4 updates the package index alone (CIS 4.7)")
        );
        assert_eq!(title("check.cis-4.9"), Some("history step 5 uses ADD (CIS 4.9)"));
        assert!(title("check.dist-upgrade").is_some());
    }

    #[test]
    fn credentials_in_the_environment_are_named_without_their_value() {
        let mut inventory = plain_base();
        inventory.config.env = vec![
            "DB_PASSWORD=hunter2".into(),
            "API_KEY=${API_KEY}".into(),
            "GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D".into(),
            "TOKEN_FILE=/run/secrets/token".into(),
            "MONKEY=banana".into(),
            "TOKEN=".into(),
        ];
        let found = checks(&inventory);
        assert_eq!(found[0].id, "check.cis-4.10");
        assert!(found[0].title.contains("DB_PASSWORD (CIS"), "{}", found[0].title);
        assert!(!found[0].title.contains("hunter2"));
    }

    #[test]
    fn accounts_without_password_or_with_shared_numbers_are_named() {
        let mut inventory = plain_base();
        inventory.files.shadow = Some("root::1::::::\n".into());
        inventory.files.passwd = Some("root:x:0:0::/:\ntoor:x:0:0::/:\napp:x:5:5::/:\n".into());
        let found = checks(&inventory);
        assert_eq!(
            (found[0].id.as_str(), found[0].severity),
            ("check.empty-password", Severity::High)
        );
        assert!(found.iter().any(|f| f.title == "user numbers with several names: 0 (root, toor)"));
    }

    #[test]
    fn the_rest_of_the_list() {
        let mut inventory = plain_base();
        inventory.config.volumes = vec!["/etc/app".into(), "/data".into()];
        inventory.config.ports = vec!["22/tcp".into()];
        inventory.config.healthcheck = false;
        inventory.files.world_writable = vec![file("srv/a\n", 0o666), file("dev/null", 0o666)];
        inventory.files.caches = vec![file("var/cache/apt/archives/a.deb", 0o644)];
        inventory.files.tools.push(file("usr/bin/sudo", 0o4755));
        let found = checks(&inventory);
        for id in
            ["system-volume", "ssh-port", "cis-4.6", "world-writable", "package-cache", "sudo"]
        {
            assert!(found.iter().any(|f| f.id == format!("check.{id}")), "{id}");
        }
        assert!(
            found.iter().all(|f| !f.title.chars().any(char::is_control) && !f.remedy.is_empty())
        );
        assert!(found.iter().any(|f| f.title == "declares volumes on system folders: /etc/app"));
    }
}
