//! The contract of the ledger, run on SQLite and on a real PostgreSQL.

mod cluster;
mod delivery;
mod fixture;
mod nights;
mod schema;
mod standing;

use super::Store;

/// A fresh ledger of a test.
struct Ledger {
    url: String,
    store: Store,
    _folder: Option<tempfile::TempDir>,
}

impl Ledger {
    async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let url = Store::sqlite_url(&folder.path().join("the ledger.db"));
        let store = Store::open(&url).await.unwrap();
        Some(Self { url, store, _folder: Some(folder) })
    }

    async fn postgres() -> Option<Self> {
        let url = cluster::database().await?;
        let store = Store::open(&url).await.unwrap();
        Some(Self { url, store, _folder: None })
    }

    /// How many rows a table has that meet a condition.
    async fn count(&self, rows: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM {rows}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&self.store.pool).await.unwrap()
    }
}

/// Runs each check on both databases.
macro_rules! contract {
    ($($module:ident :: $check:ident,)*) => {
        mod on_sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let ledger = super::Ledger::sqlite().await.unwrap();
                super::$module::$check(&ledger).await;
                ledger.store.close().await;
            }
        )* }
        mod on_postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let Some(ledger) = super::Ledger::postgres().await else { return };
                super::$module::$check(&ledger).await;
                ledger.store.close().await;
            }
        )* }
    };
}

contract! {
    nights::a_night_is_opened_planned_finished_and_closed,
    nights::results_come_back_as_they_were_given,
    nights::a_night_is_not_closed_before_its_last_image,
    nights::an_interrupted_night_tells_what_is_done,
    nights::on_demand_nights_stand_apart,
    nights::a_failed_night_is_no_night_to_compare_with,
    nights::folders_with_one_name_stay_apart,
    nights::the_first_end_of_an_image_stands,
    nights::eight_writers_lose_nothing,
    nights::a_transaction_cut_off_anywhere_leaves_nothing_half,
    nights::a_quiet_night_adds_no_findings,
    standing::findings_are_intervals,
    standing::an_unjudged_image_keeps_its_findings,
    standing::last_builds_remember_the_last_success,
    standing::who_has_answers_for_now_and_for_then,
    standing::python_names_count_in_any_spelling,
    standing::overlapping_nights_each_keep_their_own_truth,
    standing::a_diff_tells_new_fixed_and_moved,
    standing::hostile_texts_are_kept_as_far_as_they_can_be,
    delivery::each_mail_is_claimed_once,
    delivery::a_lease_that_ran_out_is_claimed_again,
    delivery::mails_come_with_the_nights_end_or_not_at_all,
    delivery::suppressed_addresses_are_known_in_any_case,
    delivery::schedules_are_kept,
    schema::a_ledger_with_data_is_opened_again,
    schema::a_newer_ledger_is_refused_and_its_data_kept,
}
