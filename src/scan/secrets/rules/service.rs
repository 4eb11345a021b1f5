//! Chat, mail, payment, model and other services.

use super::{Rule, Scope};
use crate::model::finding::Severity::{Critical, High, Medium};

pub(super) const RULES: &[Rule] = &[
    Rule::token(
        "secret.slack-token",
        "Slack token",
        High,
        &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxo-", "xoxe.", "xoxe-", "xapp-"],
        r"\b(xox[abeoprs][.-][A-Za-z0-9.-]{20,}|xapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{10,14}-[a-f0-9]{64})(?:[^A-Za-z0-9.-]|$)",
    ),
    Rule::token(
        "secret.slack-webhook",
        "Slack webhook",
        Medium,
        &["hooks.slack.com"],
        r"hooks\.slack\.com/((?:services|workflows|triggers)/T[A-Z0-9]{7,12}/[A-Z0-9]{7,20}/[A-Za-z0-9]{20,48})",
    ),
    Rule::token(
        "secret.discord-webhook",
        "Discord webhook",
        Medium,
        &["/api/webhooks/"],
        r"discord(?:app)?\.com/api/webhooks/([0-9]{17,20}/[A-Za-z0-9_-]{60,80})",
    ),
    Rule::token(
        "secret.discord-bot-token",
        "Discord bot token",
        High,
        &["discord"],
        r#"(?i:discord)[^\n]{0,60}[=:\s"']([MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38})(?:[^A-Za-z0-9_-]|$)"#,
    )
    .scope(Scope::Text)
    .entropy(3.5),
    Rule::token(
        "secret.telegram-bot-token",
        "Telegram bot token",
        High,
        &[":aa"],
        r"(?:^|[^A-Za-z0-9])(?:bot)?([0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?:[^A-Za-z0-9_-]|$)",
    )
    .scope(Scope::Text)
    .entropy(3.5),
    Rule::token(
        "secret.stripe-live-key",
        "Stripe live key",
        Critical,
        &["sk_live_", "rk_live_", "sk_prod_", "rk_prod_"],
        r"\b([rs]k_(?:live|prod)_[A-Za-z0-9]{16,120})\b",
    ),
    Rule::token(
        "secret.stripe-test-key",
        "Stripe test key",
        Medium,
        &["sk_test_", "rk_test_"],
        r"\b([rs]k_test_[A-Za-z0-9]{16,120})\b",
    )
    .scope(Scope::Text),
    Rule::token(
        "secret.stripe-webhook-secret",
        "Stripe webhook secret",
        Medium,
        &["whsec_"],
        r"\b(whsec_[A-Za-z0-9+/]{32,64}={0,2})(?:[^A-Za-z0-9+/=]|$)",
    )
    .scope(Scope::Text),
    Rule::token(
        "secret.square-token",
        "Square token",
        High,
        &["sq0atp-", "sq0csp-", "eaaa"],
        r"\b(sq0(?:atp|csp)-[A-Za-z0-9_-]{22,43}|EAAA[A-Za-z0-9_-]{60})(?:[^A-Za-z0-9_-]|$)",
    )
    .scope(Scope::Text)
    .entropy(3.5),
    Rule::token(
        "secret.shopify-token",
        "Shopify token",
        High,
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"\b(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})\b",
    ),
    Rule::token(
        "secret.twilio-key",
        "Twilio key",
        High,
        &["twilio"],
        r#"(?i:twilio)[^\n]{0,60}["'=:\s]((?:SK)?[0-9a-f]{32})(?:[^A-Za-z0-9]|$)"#,
    )
    .scope(Scope::Text)
    .entropy(3.0),
    Rule::token(
        "secret.sendgrid-key",
        "SendGrid API key",
        High,
        &["sg."],
        r"\b(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})(?:[^A-Za-z0-9_-]|$)",
    )
    .entropy(3.5),
    Rule::token(
        "secret.mailgun-key",
        "Mailgun key",
        High,
        &["mailgun"],
        r#"(?i:mailgun)[^\n]{0,60}["'=:\s](key-[0-9a-f]{32}|[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8})(?:[^A-Za-z0-9-]|$)"#,
    )
    .scope(Scope::Text),
    Rule::token(
        "secret.mailchimp-key",
        "Mailchimp API key",
        High,
        &["-us"],
        r"\b([0-9a-f]{32}-us[0-9]{1,2})\b",
    )
    .scope(Scope::Text),
    Rule::token(
        "secret.openai-key",
        "OpenAI API key",
        High,
        &["sk-proj-", "sk-svcacct-", "sk-admin-", "t3blbkfj"],
        r"\b(sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})(?:[^A-Za-z0-9_-]|$)",
    )
    .entropy(3.3),
    Rule::token(
        "secret.anthropic-key",
        "Anthropic API key",
        High,
        &["sk-ant-"],
        r"\b(sk-ant-(?:api|admin|oat|sid)[0-9]{2}-[A-Za-z0-9_-]{80,130})(?:[^A-Za-z0-9_-]|$)",
    )
    .entropy(3.3),
    Rule::token("secret.groq-key", "Groq API key", Medium, &["gsk_"], r"\b(gsk_[A-Za-z0-9]{52})\b"),
    Rule::token(
        "secret.replicate-token",
        "Replicate token",
        Medium,
        &["r8_"],
        r"\b(r8_[A-Za-z0-9]{37})\b",
    )
    .entropy(3.5),
    Rule::token(
        "secret.linear-key",
        "Linear API key",
        Medium,
        &["lin_api_"],
        r"\b(lin_api_[A-Za-z0-9]{40})\b",
    ),
    Rule::token(
        "secret.notion-token",
        "Notion token",
        Medium,
        &["ntn_"],
        r"\b(ntn_[0-9]{11}[A-Za-z0-9]{35})\b",
    ),
    Rule::token(
        "secret.facebook-token",
        "Facebook access token",
        Medium,
        &["eaac"],
        r"\b(EAAC[A-Za-z0-9]{60,})\b",
    )
    .scope(Scope::Text)
    .entropy(4.0),
];
