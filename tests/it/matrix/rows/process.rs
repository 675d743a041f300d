//! What befalls the process, its disk, its clock and its config.

use super::{Row, row};

pub const ROWS: &[Row] = &[
    row(
        1,
        "SIGKILL while polling",
        &[
            "a_fill_killed_at_two_random_moments_ends_as_an_undisturbed_one",
            "a_fill_goes_on_where_it_was_killed_and_reads_at_most_a_page_again",
        ],
        "",
    ),
    row(
        2,
        "SIGKILL between intent and send",
        &[
            "a_crash_at_any_moment_loses_nothing_and_doubles_nothing",
            "a_push_killed_again_and_again_ends_with_every_intent_ended_once_and_the_lists_right",
            "after_any_operation_that_goes_wrong_passes_end_where_they_should",
        ],
        "",
    ),
    row(
        3,
        "SIGKILL between send and answer",
        &[
            "a_crash_at_any_moment_loses_nothing_and_doubles_nothing",
            "after_any_operation_that_goes_wrong_passes_end_where_they_should",
            "a_push_that_is_killed_during_the_operation_is_followed_up_and_not_repeated",
        ],
        "Counted as row 2 is.",
    ),
    row(
        4,
        "SIGKILL during open, repair or migration",
        &[
            "a_crash_at_any_moment_loses_nothing_and_doubles_nothing",
            "an_unfinished_snapshot_does_not_stop_an_opening",
            "a_fold_cut_off_after_any_commit_is_finished_by_the_next_one",
            "a_restore_that_was_killed_left_nothing_or_everything",
            "what_a_kill_left_beside_the_file_is_wiped",
            "an_older_format_is_refused_with_its_remedy",
        ],
        "Nothing is migrated: a mirror of another format is set aside and filled anew.",
    ),
    row(
        5,
        "SIGKILL during backup",
        &[
            "a_kill_during_a_backup_leaves_no_file_and_the_next_one_is_whole",
            "every_truncation_is_refused_and_so_is_every_changed_byte",
        ],
        "",
    ),
    row(
        6,
        "torn last journal record",
        &[
            "a_torn_end_is_cut_at_every_byte_of_the_last_append",
            "pages_of_a_large_append_that_reached_the_disk_in_any_order_are_cut_together",
            "a_torn_journal_is_cut_with_a_warning_and_a_damaged_one_stops_its_shop",
        ],
        "",
    ),
    row(
        7,
        "bad record in the middle of the journal",
        &[
            "a_hurt_line_is_cut_with_its_append_in_the_last_one_and_refused_in_any_before",
            "a_past_that_was_rewritten_is_noticed_and_a_journal_of_old_is_not_taken_for_one",
            "a_torn_journal_is_cut_with_a_warning_and_a_damaged_one_stops_its_shop",
        ],
        "The remedy named is `restore`: what a journal holds is nowhere else, so no `rebuild` can help.",
    ),
    row(
        8,
        "torn or corrupt snapshot of the store",
        &[
            "a_damaged_snapshot_is_set_aside_and_nothing_is_lost",
            "an_unfinished_snapshot_does_not_stop_an_opening",
        ],
        "",
    ),
    row(
        9,
        "store beyond repair",
        &[
            "a_mirror_beyond_repair_is_filled_anew_and_written_from_after_two_readings",
            "a_mirror_damaged_again_before_it_proved_itself_is_left_to_the_operator",
            "a_damage_beyond_repair_names_the_remedy",
            "a_mirror_that_cannot_be_read_is_set_aside_all_the_same",
            "a_rebuilt_mirror_is_the_same_and_knows_its_lists_by_other_names",
        ],
        "A second time, before the new mirror proved itself, an operator has to ask for `rebuild`.",
    ),
    row(
        10,
        "bit rot in a value",
        &[
            "a_rotten_value_ends_the_pass_and_the_next_opening_fills_a_new_mirror",
            "a_flipped_byte_in_a_value_is_reported_and_not_used",
            "a_damaged_value_is_found_on_any_shelf",
            "damage_anywhere_in_what_a_sweep_reads_ends_it",
        ],
        "The error names the shelf, and everything is fetched anew: one rotten value is seldom alone.",
    ),
    row(
        11,
        "disk full while journaling",
        &[
            "a_disk_that_fills_during_a_push_stops_with_74_and_loses_no_effect",
            "after_any_operation_that_goes_wrong_passes_end_where_they_should",
            "a_shop_that_takes_no_more_writes_is_opened_anew_and_rests_before_its_next_pass",
        ],
        "",
    ),
    row(
        12,
        "disk full while storing a page",
        &[
            "a_disk_that_fills_during_the_fill_stops_with_74_and_a_larger_one_goes_on",
            "below_min_free_disk_a_pass_reads_and_writes_nothing",
            "a_shop_that_takes_no_more_writes_is_opened_anew_and_rests_before_its_next_pass",
        ],
        "One log line for each pass that fails, each after a longer rest.",
    ),
    row(
        13,
        "EIO on write or sync",
        &[
            "a_sync_that_fails_ends_the_pass_with_74_and_is_not_tried_again",
            "a_failed_write_poisons_the_journal",
            "after_any_operation_that_goes_wrong_passes_end_where_they_should",
        ],
        "A daemon stays for its other shops and opens this one anew.",
    ),
    row(
        14,
        "read-only file system, wrong owner, mode too open",
        &[
            "files_that_may_not_be_read_or_written_start_nothing_and_name_the_remedy",
            "a_file_open_to_others_is_refused_with_the_remedy",
            "a_file_of_another_user_is_refused",
            "links_folders_and_open_parents_are_refused",
        ],
        "",
    ),
    row(
        15,
        "second instance, same store or same key",
        &["a_second_process_with_the_same_key_or_state_exits_75_and_names_the_holder"],
        "",
    ),
    row(
        16,
        "memory limit reached",
        &["where_memory_runs_out_nothing_is_lost"],
        "Work is not split smaller the next time: it is bounded from the beginning.",
    ),
    row(
        17,
        "descriptors exhausted",
        &["where_descriptors_run_out_nothing_is_lost"],
        "A pass without descriptors fails with what it could not open; the next one goes on.",
    ),
    row(
        18,
        "clock steps back 1 h",
        &[
            "a_clock_that_steps_back_hides_no_change_and_refills_no_budget",
            "a_clock_set_back_puts_no_pass_off",
            "neither_a_restart_nor_a_clock_that_steps_back_refills_it",
        ],
        "",
    ),
    row(
        19,
        "clock steps forward 1 day",
        &[
            "a_clock_that_steps_forward_a_day_refills_no_budget_until_the_vendors_day_is_over",
            "a_clock_that_was_set_is_told_from_one_that_drifts",
        ],
        "",
    ),
    row(
        20,
        "summer time, leap second, 29 February, 2038",
        &[
            "each_due_start_comes_once_over_summer_time_leap_days_and_the_year_2038",
            "a_cron_line_is_read_in_utc_and_is_strictly_later",
        ],
        "",
    ),
    row(
        61,
        "SIGHUP with a broken or dangerous config",
        &[
            "a_reload_keeps_the_old_config_when_the_new_is_bad_and_applies_a_good_one",
            "new_and_changed_rules_only_observe_until_they_are_released",
            "a_bad_configuration_leaves_everything_as_it_was",
            "a_shop_that_is_gone_drains_and_a_new_one_begins",
        ],
        "",
    ),
    row(
        62,
        "SIGTERM, then SIGKILL",
        &[
            "a_fill_ends_within_ten_seconds_of_sigterm_and_the_next_start_finishes_it",
            "sigterm_in_the_middle_of_a_push_leaves_nothing_undone_after_the_next_pass",
            "a_crash_at_any_moment_loses_nothing_and_doubles_nothing",
        ],
        "",
    ),
    row(
        63,
        "lost lease between machines",
        &[],
        "There are no leases: a shop lives on one machine, and locks keep a second process off it.",
    ),
    row(
        64,
        "restore of an old backup",
        &[
            "a_backup_of_a_running_daemon_goes_on_elsewhere_and_observes_first",
            "a_restored_shop_observes_then_goes_on_and_repeats_nothing_it_no_longer_knows_of",
            "an_older_copy_of_the_vault_learns_from_the_journal_who_was_forgotten",
            "an_age_is_told_in_its_two_largest_units",
        ],
        "After the two readings it observes until `release`.",
    ),
];
