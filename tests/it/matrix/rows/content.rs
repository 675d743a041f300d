//! What a reply says, or a webhook, or a vendor all along.

use super::{Row, row};

pub const ROWS: &[Row] = &[
    row(
        39,
        "GraphQL 200 with errors, with data null or partial",
        &[
            "data_that_is_null_or_comes_with_errors_proves_nobody_gone",
            "a_listing_whose_data_is_null_is_not_an_empty_one",
            "errors_in_any_form_refuse_the_whole_reply",
            "a_page_with_errors_is_refused_whole",
        ],
        "",
    ),
    row(
        40,
        "userErrors on a mutation",
        &[
            "tags_go_to_one_customer_and_refusals_are_told_apart",
            "a_refused_metafield_does_not_stop_the_others",
            "a_line_ends_by_its_number_and_its_own_errors",
            "of_1500_customers_1499_get_their_tags_in_bulk_and_the_culprit_is_named",
            "of_5100_customers_all_but_one_get_their_metafield_in_bulk",
        ],
        "The dead letter is the refusal in the journal, with its code; `receipts` shows it.",
    ),
    row(
        41,
        "401 or 403 in the middle of a run",
        &[
            "a_push_that_breaks_at_any_request_does_everything_once",
            "a_missing_scope_for_writing_ends_the_push_and_the_next_pass_makes_up_for_it",
            "a_pass_with_a_wrong_key_scope_or_account_ends_before_any_write",
            "a_refused_key_is_tried_once_in_a_quarter_of_an_hour",
        ],
        "",
    ),
    row(
        42,
        "the key belongs to another account",
        &[
            "an_account_that_is_not_the_pinned_one_is_refused",
            "a_mirror_of_another_account_or_shop_is_left_alone",
            "a_pass_with_a_wrong_key_scope_or_account_ends_before_any_write",
        ],
        "",
    ),
    row(
        43,
        "404 on a record just listed",
        &[
            "a_profile_deleted_since_it_was_read_is_withdrawn_and_the_others_are_written",
            "a_customer_deleted_since_it_was_read_is_withdrawn_and_the_others_are_written",
        ],
        "",
    ),
    row(
        44,
        "409 duplicate profile",
        &[
            "a_conflict_names_the_other_profile",
            "a_conflict_ends_the_effect_and_the_profile_that_took_over_gets_what_it_lacks",
            "a_conflict_of_two_profiles_that_both_exist_is_a_refusal_that_is_not_repeated",
        ],
        "The next plan retargets: it reads both profiles first, and wants of the other what it still lacks.",
    ),
    row(
        45,
        "retired revision, version silently replaced",
        &[
            "another_version_in_the_reply_stops",
            "a_challenge_page_is_the_vendors_fault_and_a_missing_scope_is_ours",
        ],
        "",
    ),
    row(
        46,
        "unknown fields",
        &["fields_that_nobody_has_heard_of_change_nothing"],
        "Not counted: records are asked for field by field, of a version that is pinned, and to \
         look at what is skipped would slow every one of them down.",
    ),
    row(
        47,
        "unknown enum value, wrong type, missing field, null for required",
        &[
            "records_that_cannot_be_understood_are_left_out_and_many_of_them_stop_all_writes",
            "values_that_nobody_has_heard_of_are_neither_a_bounce_nor_a_consent",
            "more_than_one_record_in_a_hundred_and_more_than_ten_stop_everything",
            "a_record_that_does_not_fit_is_left_out_and_counted",
            "a_meter_shows_up_under_its_shop",
        ],
        "Ten odd records stop nothing, however few were read. An unknown value of a known field \
         is kept as it is; such a suppression still suppresses.",
    ),
    row(
        48,
        "duplicate ids within or across pages",
        &[
            "events_in_any_order_repeated_and_across_pages_fold_to_one_timeline",
            "an_older_record_does_not_replace_a_newer_one_and_an_equally_old_one_does",
        ],
        "",
    ),
    row(
        49,
        "records move between pages while paging",
        &[
            "records_that_change_while_they_are_listed_are_not_missed",
            "merges_deletions_and_lifted_suppressions_are_found_within_the_span",
        ],
        "The first walk goes by id, which nothing moves.",
    ),
    row(
        50,
        "cursor expired or refused",
        &["a_walk_whose_cursor_is_refused_starts_again_from_where_it_began"],
        "",
    ),
    row(
        51,
        "cursor loop, next equal to itself, endless pages",
        &[
            "a_listing_that_goes_in_a_circle_ends_the_pass_and_loses_nothing",
            "a_circle_of_any_length_and_a_listing_of_nothing_are_found_out",
            "a_link_to_the_same_page_is_a_loop",
            "a_page_that_ends_where_it_began_is_a_loop",
            "a_circle_of_pages_is_an_error",
            "a_short_listing_without_an_end_is_given_up_after_a_thousand_pages",
        ],
        "Ever new pages end when a thousand of them hold nothing, or after 200,000 of one walk; \
         those of a catalogue, which is kept in memory, after 1,000.",
    ),
    row(
        52,
        "next to another host, port, scheme, user-info, IP, path",
        &[
            "a_page_that_leads_to_another_place_ends_the_pass_and_is_not_followed",
            "a_link_to_anywhere_else_is_refused",
            "a_path_cannot_become_another_host",
            "on_loopback_another_port_is_still_this_machine",
        ],
        "The pass fails and names it. Later passes ask again, each after a longer rest: the link \
         is never followed.",
    ),
    row(
        53,
        "listing suddenly empty or 20 % shorter",
        &[
            "a_list_that_lost_a_quarter_is_taken_for_broken",
            "a_broken_listing_stays_broken_until_an_operator_says_otherwise",
            "a_missing_sentinel_stops_everything",
            "a_listing_that_shrank_or_broke_off_stops_everything",
            "a_crash_at_any_moment_loses_nothing_and_doubles_nothing",
        ],
        "",
    ),
    row(
        54,
        "bulk JSONL truncated, blank line, half UTF-8, child before parent",
        &[
            "a_truncated_bulk_file_stops_the_plan_and_is_asked_for_again",
            "a_bulk_file_cut_within_its_last_line_is_not_taken_for_whole",
            "a_bulk_result_with_half_a_character_is_not_whole_and_is_asked_for_again",
            "damage_in_a_bulk_result_is_not_forgotten_over_a_stop_behind_it",
            "a_window_that_lacks_lines_is_asked_for_again_alone",
            "lines_come_one_by_one_and_without_a_credential",
        ],
        "Nothing at all is written before a result is whole. No line has a parent: the queries \
         nest no connections.",
    ),
    row(
        55,
        "bulk URL expired, bulk FAILED with partialDataUrl",
        &[
            "a_bulk_result_that_expired_is_asked_for_again",
            "a_file_that_is_gone_is_asked_for_again_alone_and_one_that_stays_gone_is_made_up_for_by_pages",
            "what_takes_too_long_is_asked_for_in_halves",
            "what_breaks_is_asked_for_once_more_and_only_what_keeps_failing_is_read_by_pages",
            "what_is_cancelled_is_asked_for_once_more_and_what_always_is_comes_by_pages",
            "bulk_operations_that_fail_are_made_up_for_by_pages",
        ],
        "Orders that took too long are asked for in halves, down to an eighth of a window; what \
         fails even so, as customers that fail twice, is read by pages in the same pass. The part \
         of a result is left alone: nobody knows what it lacks.",
    ),
    row(
        56,
        "bulk job started twice after a lost answer",
        &[
            "an_operation_whose_start_was_not_answered_is_found_again",
            "an_operation_whose_start_was_not_answered_is_looked_for_before_it_is_started_again",
            "an_operation_whose_number_was_lost_in_a_kill_is_followed_and_not_started_again",
            "a_push_whose_replies_are_lost_at_any_request_ends_right_and_on_record",
        ],
        "A job of Klaviyo's whose number was lost is sent again as an intent of its own: it sets the same \
         targets.",
    ),
    row(
        57,
        "webhook twice, 5 times, a day late",
        &[
            "a_delivery_that_comes_twice_five_times_or_a_day_late_counts_once",
            "the_inbox_is_bounded_and_forgets_after_a_week",
            "shuffled_repeated_and_dropped_deliveries_end_in_the_mirror_of_the_truth",
        ],
        "",
    ),
    row(
        58,
        "webhook out of order, update after delete",
        &[
            "a_delivery_brings_what_no_feed_shows_whatever_its_order",
            "a_bulk_file_that_is_older_than_a_deletion_does_not_bring_it_back",
            "only_what_is_named_is_read_and_only_once",
        ],
        "",
    ),
    row(
        59,
        "webhook with wrong, missing or short signature; changed or huge body",
        &[
            "nothing_is_believed_without_the_right_signature",
            "a_long_body_is_not_read_to_its_end",
            "what_is_of_another_shop_too_old_or_garbled_is_refused",
        ],
        "413 for what is too long: its signature is not even computed.",
    ),
    row(
        60,
        "webhooks never arrive",
        &[
            "without_a_single_delivery_the_pull_finds_the_same",
            "merges_deletions_and_lifted_suppressions_are_found_within_the_span",
            "what_no_delivery_told_is_found_within_the_sweep_and_counted_apart",
        ],
        "The alert is a rule on `driftless_records_gone_total`, which tells sweeps from webhooks.",
    ),
];
