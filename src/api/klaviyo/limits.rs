//! The endpoint classes driftless uses, with their published limits.

use crate::api::{Class, Limits};
use crate::telemetry::Api;

const fn class(name: &'static str, burst: u32, steady: u32, daily: Option<u32>) -> Class {
    Class {
        api: Api::Klaviyo,
        name,
        limits: Some(Limits {
            burst,
            steady,
            daily,
        }),
    }
}

/// `GET /api/accounts`
pub static GET_ACCOUNTS: Class = class("get_accounts", 1, 15, None);
/// `GET /api/profiles`
pub static GET_PROFILES: Class = class("get_profiles", 75, 750, None);
/// `GET /api/metrics`
pub static GET_METRICS: Class = class("get_metrics", 10, 150, None);
/// `POST /api/metric-aggregates`
pub static METRIC_AGGREGATES: Class = class("query_metric_aggregates", 3, 60, None);
/// `GET /api/events`
pub static GET_EVENTS: Class = class("get_events", 350, 3500, None);
/// `GET /api/lists`
pub static GET_LISTS: Class = class("get_lists", 75, 750, None);
/// `GET /api/lists/{id}`
pub static GET_LIST: Class = class("get_list", 75, 750, None);
/// `GET /api/lists/{id}/profiles`
pub static GET_LIST_PROFILES: Class = class("get_profiles_for_list", 75, 750, None);
/// `GET /api/segments`
pub static GET_SEGMENTS: Class = class("get_segments", 75, 750, None);
/// `GET /api/segments/{id}/profiles`
pub static GET_SEGMENT_PROFILES: Class = class("get_profiles_for_segment", 75, 750, None);
/// `POST /api/segment-values-reports`
pub static SEGMENT_VALUES: Class = class("query_segment_values", 1, 2, Some(225));
/// `POST /api/lists`
pub static CREATE_LIST: Class = class("create_list", 10, 150, Some(150));
/// `POST /api/lists/{id}/relationships/profiles`
pub static ADD_TO_LIST: Class = class("add_profiles_to_list", 10, 150, None);
/// `DELETE /api/lists/{id}/relationships/profiles`
pub static REMOVE_FROM_LIST: Class = class("remove_profiles_from_list", 10, 150, None);
/// `POST /api/profile-bulk-import-jobs`
pub static IMPORT_PROFILES: Class = class("bulk_import_profiles", 10, 150, None);
/// `GET /api/profile-bulk-import-jobs/{job_id}`
pub static GET_IMPORT_JOB: Class = class("get_bulk_import_profiles_job", 10, 150, None);
/// `GET /api/profile-bulk-import-jobs/{id}/import-errors`
pub static GET_IMPORT_ERRORS: Class =
    class("get_errors_for_bulk_import_profiles_job", 10, 150, None);
/// `POST /api/profile-suppression-bulk-create-jobs`
pub static SUPPRESS: Class = class("bulk_suppress_profiles", 75, 750, None);
/// `GET /api/profile-suppression-bulk-create-jobs/{job_id}`
pub static GET_SUPPRESSION_JOB: Class = class("get_bulk_suppress_profiles_job", 75, 750, None);
/// `POST /api/profile-subscription-bulk-delete-jobs`
pub static UNSUBSCRIBE: Class = class("bulk_unsubscribe_profiles", 75, 750, None);
/// `POST /api/data-privacy-deletion-jobs`
pub static DELETE_PROFILE: Class = class("request_profile_deletion", 3, 60, None);
/// `additional-fields[list]=profile_count`, on top of the endpoint's own limit.
pub static PROFILE_COUNT: Class = class("profile_count", 1, 15, None);
/// `additional-fields[profile]=predictive_analytics`, on top of the endpoint's own limit.
pub static PREDICTIONS: Class = class("predictive_analytics", 10, 150, None);

#[cfg(test)]
mod tests {
    use super::*;

    /// Every class with its row of the published table: method, path, query.
    static ROWS: &[(&Class, &str, &str, &str)] = &[
        (&GET_ACCOUNTS, "GET", "/api/accounts", ""),
        (&GET_PROFILES, "GET", "/api/profiles", ""),
        (&GET_METRICS, "GET", "/api/metrics", ""),
        (&METRIC_AGGREGATES, "POST", "/api/metric-aggregates", ""),
        (&GET_EVENTS, "GET", "/api/events", ""),
        (&GET_LISTS, "GET", "/api/lists", ""),
        (&GET_LIST, "GET", "/api/lists/{id}", ""),
        (&GET_LIST_PROFILES, "GET", "/api/lists/{id}/profiles", ""),
        (&GET_SEGMENTS, "GET", "/api/segments", ""),
        (
            &GET_SEGMENT_PROFILES,
            "GET",
            "/api/segments/{id}/profiles",
            "",
        ),
        (&SEGMENT_VALUES, "POST", "/api/segment-values-reports", ""),
        (&CREATE_LIST, "POST", "/api/lists", ""),
        (
            &ADD_TO_LIST,
            "POST",
            "/api/lists/{id}/relationships/profiles",
            "",
        ),
        (
            &REMOVE_FROM_LIST,
            "DELETE",
            "/api/lists/{id}/relationships/profiles",
            "",
        ),
        (
            &IMPORT_PROFILES,
            "POST",
            "/api/profile-bulk-import-jobs",
            "",
        ),
        (
            &GET_IMPORT_JOB,
            "GET",
            "/api/profile-bulk-import-jobs/{job_id}",
            "",
        ),
        (
            &GET_IMPORT_ERRORS,
            "GET",
            "/api/profile-bulk-import-jobs/{id}/import-errors",
            "",
        ),
        (
            &SUPPRESS,
            "POST",
            "/api/profile-suppression-bulk-create-jobs",
            "",
        ),
        (
            &GET_SUPPRESSION_JOB,
            "GET",
            "/api/profile-suppression-bulk-create-jobs/{job_id}",
            "",
        ),
        (
            &UNSUBSCRIBE,
            "POST",
            "/api/profile-subscription-bulk-delete-jobs",
            "",
        ),
        (
            &DELETE_PROFILE,
            "POST",
            "/api/data-privacy-deletion-jobs",
            "",
        ),
        (
            &PROFILE_COUNT,
            "GET",
            "/api/lists/{id}",
            "additional-fields[list]=profile_count",
        ),
        (
            &PREDICTIONS,
            "GET",
            "/api/profiles",
            "additional-fields[profile]=predictive_analytics",
        ),
    ];

    fn published() -> Option<String> {
        let shared = std::env::var("DRIFTLESS_SHARED").unwrap_or_else(|_| {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            root.join("../shared").to_string_lossy().into_owned()
        });
        std::fs::read_to_string(format!("{shared}/reference/klaviyo-ratelimits.tsv")).ok()
    }

    fn limit(field: &str) -> Option<u32> {
        field.split('/').next()?.parse().ok()
    }

    #[test]
    fn the_limits_are_the_published_ones() {
        let Some(table) = published() else {
            println!("skipped: the published table of limits is not here");
            return;
        };
        for (class, method, path, query) in ROWS {
            let row: Vec<&str> = table
                .lines()
                .map(|line| line.split('\t').collect::<Vec<_>>())
                .find(|row| row[0] == *method && row[1] == *path && row[5] == *query)
                .unwrap_or_else(|| panic!("no row for {}", class.name));
            let limits = class.limits.unwrap();
            assert_eq!(Some(limits.burst), limit(row[2]), "{}", class.name);
            assert_eq!(Some(limits.steady), limit(row[3]), "{}", class.name);
            assert_eq!(limits.daily, limit(row[4]), "{}", class.name);
            if query.is_empty() {
                assert_eq!(class.name, row[6]);
            }
        }
    }
}
