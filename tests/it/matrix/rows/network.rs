//! What befalls a request on its way, and how a vendor says wait.

use super::{Row, row};

pub const ROWS: &[Row] = &[
    row(
        21,
        "suspend for 8 h",
        &[
            "after_a_day_asleep_there_is_one_pass_and_no_burst",
            "after_eight_hours_asleep_a_pass_asks_for_what_any_other_does",
            "a_clock_that_was_set_is_told_from_one_that_drifts",
        ],
        "A warning, for a sleep cannot be told from a clock that was set.",
    ),
    row(
        22,
        "a vendor's clock 10 minutes off",
        &["whichever_way_the_clocks_differ_no_change_is_missed"],
        "",
    ),
    row(
        23,
        "name does not resolve",
        &[
            "a_name_that_does_not_resolve_is_asked_for_with_pauses_and_told_of_after_five_minutes",
            "a_name_that_does_not_resolve_is_told_from_a_connection_that_is_refused",
            "a_vendor_without_an_answer_is_told_of_after_five_minutes_and_an_untrusted_one_at_once",
            "the_status_tells_each_shops_state_and_problem",
        ],
        "The shop stays open for its other vendor; `/status` has it under `out_of_reach`.",
    ),
    row(
        24,
        "connection refused, reset in the head, reset in the body",
        &[
            "no_listener_is_unreachable_and_surely_not_sent",
            "a_reset_is_told_by_how_far_the_reply_had_come",
            "what_is_lost_is_counted_by_how_far_it_got_and_told_of_after_five_minutes",
            "a_connection_lost_in_the_middle_of_a_page_costs_one_more_request",
            "a_connection_lost_in_a_bulk_file_goes_on_from_there",
            "a_write_of_unknown_outcome_is_not_repeated",
            "a_push_whose_replies_are_lost_at_any_request_ends_right_and_on_record",
        ],
        "",
    ),
    row(
        25,
        "connects, never answers",
        &[
            "what_connects_and_never_answers_is_left_after_ten_thirty_or_120_seconds",
            "what_is_lost_is_counted_by_how_far_it_got_and_told_of_after_five_minutes",
        ],
        "A reply of Shopify's has 30 s in all. A bulk result has no total, for it may be \
         gigabytes: row 26 holds it.",
    ),
    row(
        26,
        "slowloris, 1 byte a second",
        &[
            "a_body_of_a_byte_a_second_is_cut_off_and_one_of_two_thousand_is_not",
            "a_result_that_drips_is_cut_off_however_long_its_reader_takes_elsewhere",
            "what_is_lost_is_counted_by_how_far_it_got_and_told_of_after_five_minutes",
        ],
        "",
    ),
    row(
        27,
        "endless or huge body, zip bomb",
        &[
            "a_body_beyond_the_cap_is_cut_off",
            "a_body_that_grows_when_it_is_unpacked_is_cut_off_at_the_cap",
            "an_endless_line_is_cut_off_and_half_a_character_spoils_its_line_alone",
            "a_disk_that_is_too_full_is_seen_before_anything_is_asked",
        ],
        "A bulk file never lies on the disk. Room for its records is looked for before every \
         pass, and a full disk costs a page (row 12).",
    ),
    row(
        28,
        "TLS: expired, wrong name, unknown root, TLS 1.1",
        &[
            "a_server_that_is_not_trusted_gets_no_request_and_is_asked_once",
            "a_vendor_without_an_answer_is_told_of_after_five_minutes_and_an_untrusted_one_at_once",
            "plain_http_is_for_loopback_only",
        ],
        "",
    ),
    row(
        29,
        "redirect to the same or another origin, or to http",
        &[
            "a_redirect_is_an_answer_and_not_followed",
            "a_redirect_or_an_expired_link_is_an_error",
        ],
        "",
    ),
    row(
        30,
        "HTML or a captive portal with 200",
        &[
            "of_an_answer_that_is_not_json_the_log_has_kind_and_hash_and_not_the_body",
            "a_portal_is_not_an_empty_listing",
            "a_page_of_html_instead_of_graphql_ends_the_pass",
            "a_page_cut_short_is_no_page_and_nothing_is_written",
        ],
        "",
    ),
    row(
        31,
        "500 once",
        &[
            "a_vendors_fault_is_tried_again_and_then_given_up",
            "a_vendor_that_fails_for_a_while_is_asked_again",
        ],
        "",
    ),
    row(
        32,
        "5xx for an hour",
        &[
            "a_vendor_that_is_down_for_an_hour_is_asked_little_and_nothing_is_lost",
            "a_class_that_fails_again_and_again_is_left_alone_and_probed",
            "half_of_twenty_within_a_minute_open_the_circuit",
            "one_probe_goes_through_and_a_rest_doubles_up_to_a_quarter_of_an_hour",
            "a_tenth_of_five_minutes_may_be_repeats_and_ten_always",
        ],
        "No queue of effects is kept on disk: the next pass plans anew what is still wanted. The log has \
         one line for each pass that failed, each after a longer rest.",
    ),
    row(
        33,
        "429 with a short Retry-After",
        &["a_short_wait_is_sat_out_and_the_same_request_sent_once_more"],
        "",
    ),
    row(
        34,
        "429 storm for an hour",
        &[
            "a_storm_of_an_hour_is_asked_about_once_and_loses_nothing",
            "while_everything_is_refused_one_request_asks_after_each_retry_after",
            "a_storm_of_429_is_sat_out",
        ],
        "The alert is a warning in the log, `rate_limited_total`, and the parked classes in the status.",
    ),
    row(
        35,
        "429 with 67,608 s",
        &[
            "a_wait_of_hours_parks_its_class_alone_over_restarts_until_it_is_over",
            "a_parked_class_shows_in_the_status_over_a_restart_and_is_asked_for_nothing",
            "a_pass_that_does_without_a_parked_class_names_it_and_the_time",
            "a_class_parked_for_hours_stays_parked_after_a_restart",
        ],
        "",
    ),
    row(
        36,
        "429 without or with a garbage Retry-After",
        &[
            "a_retry_after_that_is_missing_or_nonsense_waits_a_window_and_none_more_than_a_day",
            "retry_after_is_seconds_within_a_day_or_nothing",
        ],
        "",
    ),
    row(
        37,
        "rate headers missing, zero, contradictory",
        &[
            "missing_zero_or_contradictory_headers_are_counted_and_change_nothing",
            "headers_are_read_and_nonsense_among_them_is_no_header",
            "figures_that_contradict_each_other_are_no_figures",
        ],
        "",
    ),
    row(
        38,
        "Shopify THROTTLED inside 200",
        &[
            "a_bucket_that_somebody_else_has_emptied_is_waited_for_by_cost",
            "throttling_waits_for_what_is_missing",
            "throttled_inside_a_200_is_repeated_and_a_portal_is_not_an_empty_shop",
        ],
        "",
    ),
];
