//! Clouds, infrastructure and key management.

use super::{Rule, Scope};
use crate::model::finding::Severity::{Critical, High, Medium};

pub(super) const RULES: &[Rule] = &[
    Rule::token(
        "secret.aws-access-key-id",
        "AWS access key id",
        High,
        &["akia", "asia", "abia", "acca"],
        r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b",
    ),
    Rule::token(
        "secret.aws-secret-access-key",
        "AWS secret access key",
        Critical,
        &["secret_access_key", "secretaccesskey", "secret-access-key", "aws_secret", "awssecret"],
        r#"(?i)(?:secret[_-]?access[_-]?key|aws[_-]?secret(?:[_-]?key)?)["']?\s{0,4}(?:=>|:=|=|:)\s{0,4}["']?([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
    )
    .entropy(3.5),
    Rule::token(
        "secret.gcp-service-account",
        "Google Cloud service account key",
        Critical,
        &["private_key_id"],
        r#""private_key_id"\s{0,4}:\s{0,4}"([0-9a-f]{40})""#,
    ),
    Rule::token(
        "secret.gcp-api-key",
        "Google API key",
        High,
        &["aiza"],
        r"\b(AIza[A-Za-z0-9_-]{35})(?:[^A-Za-z0-9_-]|$)",
    )
    .entropy(3.2),
    Rule::token(
        "secret.google-oauth-secret",
        "Google OAuth client secret",
        High,
        &["gocspx-"],
        r"\b(GOCSPX-[A-Za-z0-9_-]{28})(?:[^A-Za-z0-9_-]|$)",
    ),
    Rule::token(
        "secret.azure-storage-key",
        "Azure storage account key",
        Critical,
        &["accountkey="],
        r"(?i)AccountKey=([A-Za-z0-9+/]{86}==)",
    )
    .entropy(4.0),
    Rule::token(
        "secret.azure-shared-access-key",
        "Azure shared access key",
        High,
        &["sharedaccesskey="],
        r"(?i)SharedAccessKey=([A-Za-z0-9+/]{43}=)",
    )
    .entropy(4.0),
    Rule::token(
        "secret.azure-client-secret",
        "Azure client secret",
        Critical,
        &["q~"],
        r"(?:^|[^A-Za-z0-9_~.-])([A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})(?:[^A-Za-z0-9_~.-]|$)",
    )
    .scope(Scope::Text)
    .entropy(3.3),
    Rule::token(
        "secret.digitalocean-token",
        "DigitalOcean token",
        High,
        &["doo_v1_", "dop_v1_", "dor_v1_"],
        r"\b(do[opr]_v1_[a-f0-9]{64})\b",
    ),
    Rule::token(
        "secret.alibaba-access-key-id",
        "Alibaba Cloud access key id",
        High,
        &["ltai"],
        r"\b(LTAI[A-Za-z0-9]{20})\b",
    )
    .scope(Scope::Text)
    .entropy(3.2),
    Rule::token(
        "secret.heroku-api-key",
        "Heroku API key",
        High,
        &["hrku-"],
        r"\b(HRKU-[A-Za-z0-9_-]{36,64})(?:[^A-Za-z0-9_-]|$)",
    ),
    Rule::token(
        "secret.vault-token",
        "HashiCorp Vault token",
        Critical,
        &["hvs.", "hvb.", "hvr."],
        r"\b(hv[sbr]\.[A-Za-z0-9_-]{24,})(?:[^A-Za-z0-9_-]|$)",
    )
    .entropy(3.3),
    Rule::token(
        "secret.terraform-token",
        "Terraform Cloud token",
        High,
        &[".atlasv1."],
        r"\b([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,70})(?:[^A-Za-z0-9_-]|$)",
    ),
    Rule::token(
        "secret.doppler-token",
        "Doppler token",
        High,
        &["dp.pt.", "dp.st.", "dp.sa."],
        r"\b(dp\.(?:pt|sa|st\.[a-z0-9_-]{2,35})\.[A-Za-z0-9]{40,44})\b",
    ),
    Rule::token("secret.pulumi-token", "Pulumi token", High, &["pul-"], r"\b(pul-[a-f0-9]{40})\b"),
    Rule::token(
        "secret.databricks-token",
        "Databricks token",
        High,
        &["dapi"],
        r"\b(dapi[a-f0-9]{32}(?:-[0-9])?)\b",
    ),
    Rule::token(
        "secret.planetscale-token",
        "PlanetScale credential",
        High,
        &["pscale_"],
        r"\b(pscale_(?:tkn|oauth|pw)_[A-Za-z0-9=._-]{32,64})(?:[^A-Za-z0-9=._-]|$)",
    ),
    Rule::token(
        "secret.tailscale-key",
        "Tailscale key",
        High,
        &["tskey-"],
        r"\b(tskey-[a-z]{2,12}-[A-Za-z0-9]{6,24}-[A-Za-z0-9]{16,64})\b",
    ),
    Rule::token(
        "secret.fly-token",
        "Fly.io token",
        High,
        &["fo1_", "fm1r_", "fm2_"],
        r"\b(fo1_[A-Za-z0-9_-]{43}|fm(?:1r|2)_[A-Za-z0-9+/]{100,}=?)(?:[^A-Za-z0-9+/=_-]|$)",
    )
    .window(16, 800),
    Rule::token(
        "secret.age-secret-key",
        "age secret key",
        Critical,
        &["age-secret-key-1"],
        r"\b(AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})\b",
    ),
    Rule::token(
        "secret.kubeconfig-client-key",
        "Kubernetes client key",
        High,
        &["client-key-data"],
        r#"client-key-data["']?\s{0,4}:\s{0,4}["']?([A-Za-z0-9+/]{64,}={0,2})"#,
    )
    .window(8, 9000),
    Rule::token(
        "secret.cloudflare-origin-key",
        "Cloudflare origin CA key",
        High,
        &["v1.0-"],
        r"\b(v1\.0-[a-f0-9]{24}-[a-f0-9]{146})\b",
    ),
    Rule::token(
        "secret.grafana-token",
        "Grafana token",
        High,
        &["glsa_", "glc_ey"],
        r"\b(glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_ey[A-Za-z0-9+/]{32,}={0,2})(?:[^A-Za-z0-9+/=]|$)",
    ),
    Rule::token(
        "secret.new-relic-key",
        "New Relic user key",
        Medium,
        &["nrak-"],
        r"\b(NRAK-[A-Z0-9]{27})\b",
    ),
];
