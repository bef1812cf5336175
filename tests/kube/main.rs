//! cassgate on a real kube-apiserver: what users, controllers and CI see.
//!
//! One binary with its own main, so that the servers start once, on first use, and stop at the end. Each test has its
//! own namespace and registers the shipped webhook configurations for that namespace only.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test; clippy knows only those with #[test], and this binary has a harness of its own"
)]

mod api_server;
mod apply;
mod availability;
mod beside_casskop;
mod calls;
mod cert_manager;
mod check_live;
mod check_rendered;
mod corpus;
mod crds;
mod defaults;
mod delete;
mod dry_run;
mod histories;
mod hostile;
mod large_reviews;
mod lease;
mod manifests;
mod observability;
mod ordering;
mod parallel;
mod probe;
mod retention;
mod reviews;
mod rollout;
mod run_record;
mod runs;
mod scene;
mod secrets;
mod self_signed;
mod server_side_apply;
mod slots;
#[path = "../sidecar/stand_in/mod.rs"]
mod stand_in;
mod static_policy;
mod status;
mod support;
mod uninstall;
mod update;

use libtest_mimic::{Arguments, Failed, Trial};
use runs::{disturbances, kills, needs, other_executors, unsettled_ring};
use slots::{adoption, crowd, restarts, year};

/// Lists the tests of each module under the names of their functions.
macro_rules! tests {
    ($($subject:ident: $($test:ident,)+;)+) => {
        fn trials() -> Vec<Trial> {
            vec![$($(trial(
                concat!(stringify!($subject), "::", stringify!($test)),
                $subject::$test,
            ),)+)+]
        }
    };
}

tests! {
    api_server:
        a_slow_overloaded_or_failing_api_server_causes_unknown_references_and_no_denial,
        watches_that_end_with_410_are_restarted,
        an_api_server_outage_of_a_minute_causes_no_denial_and_keeps_readiness,
    ;
    apply:
        a_valid_backup_is_created_without_warnings,
        a_valid_restore_is_created_without_warnings,
        one_mistake_is_reported_in_one_line,
        every_mistake_of_a_backup_is_reported_at_once,
        every_mistake_of_a_restore_is_reported_at_once,
        one_bad_object_does_not_stop_the_others_of_a_file,
        every_way_to_write_gets_the_same_answer,
        a_user_who_may_read_no_secret_gets_the_same_verdict_and_no_details,
        an_object_with_generate_name_is_judged,
    ;
    retention:
        old_snapshots_are_removed_unless_a_restore_names_them,
    ;
    runs:
        a_backup_and_a_restore_return_the_rows_and_report_their_progress,
        the_rights_of_the_executors_service_account_are_sufficient,
        a_run_waits_for_missing_references,
        a_restarted_reconciler_resumes,
        a_scheduled_backup_runs_is_edited_suspended_resumed_and_restored_from_its_second_run,
    ;
    uninstall:
        what_casskop_would_run_after_a_way_back_is_listed,
    ;
    unsettled_ring:
        a_backup_waits_while_two_sidecars_disagree_about_the_ring,
        a_backup_waits_for_a_running_pod_outside_the_ring_unless_it_joins,
        a_part_that_its_sidecar_lost_is_taken_again_under_another_tag_and_restored,
    ;
    kills:
        a_backup_runs_once_wherever_the_reconciler_stops,
        a_backup_runs_once_whichever_answer_is_lost,
        a_restore_runs_once_when_the_reconciler_stops_before_an_act,
        a_restore_runs_once_when_the_reconciler_stops_after_an_act,
        a_restore_runs_once_when_an_act_fails,
        a_restore_runs_once_when_an_answer_is_lost,
    ;
    disturbances:
        a_restore_that_is_deleted_ends_as_its_phase_allows,
        a_restore_continues_when_its_backup_is_deleted,
        a_restore_releases_its_finalizer_when_its_namespace_is_deleted,
        a_pod_that_returns_with_another_address_loses_no_row,
        a_restore_outlives_the_object_of_its_cluster,
        no_request_is_sent_under_casskops_crds,
        a_clock_change_of_an_hour_and_an_api_server_outage_of_a_minute_lose_no_row,
        a_new_leader_does_not_repeat_the_requests_of_a_frozen_one,
    ;
    needs:
        missing_references_of_the_next_run_are_reported_once_before_it_is_due,
    ;
    other_executors:
        a_status_write_of_casskop_during_a_restore_stops_it_before_the_next_request,
        a_put_of_casskop_during_a_backup_stops_it_until_the_user_continues_it,
        an_operation_of_casskop_in_a_sidecar_stops_a_restore_once_until_the_user_continues_it,
        a_finished_restore_stays_finished_after_a_write_of_casskop,
        a_schedule_of_casskop_continues_and_its_last_run_leaves_no_trace,
        finalizers_of_others_are_kept,
        casskops_crds_applied_during_a_restore_stop_it_until_ours_are_restored,
    ;
    adoption:
        schedules_of_casskop_continue_from_now_and_can_be_returned,
    ;
    crowd:
        backups_with_the_same_names_in_many_namespaces_run_every_slot_once,
    ;
    histories:
        every_object_ends_advances_or_says_what_to_do_wherever_cassgate_is_killed,
    ;
    restarts:
        a_reconciler_that_stops_at_random_instants_runs_every_slot_once,
    ;
    year:
        in_a_leap_year_every_slot_is_run_once_or_counted,
    ;
    update:
        an_old_mistake_is_a_warning_while_another_field_changes,
        a_new_mistake_is_denied_beside_an_old_one,
        an_old_mistake_may_not_change_into_another,
        an_old_mistake_can_be_corrected,
        a_backup_outlives_its_cluster_and_can_still_be_changed,
        a_one_shot_that_has_started_keeps_its_spec,
        a_scheduled_backup_may_change_between_its_runs,
        forcing_an_edit_of_a_finished_restore_does_not_run_it_again,
    ;
    status:
        an_executor_can_write_status_with_any_spec_with_our_crds,
        an_executor_can_write_status_with_any_spec_with_casskops_crds,
        a_status_of_a_new_object_is_dropped_with_our_crds,
        a_status_of_a_new_object_is_dropped_with_a_warning_with_casskops_crds,
        a_wiped_status_is_denied_with_our_crds,
        a_wiped_status_is_restored_with_casskops_crds,
        replacing_a_finished_object_keeps_its_status_with_our_crds,
        replacing_a_finished_object_keeps_its_status_with_casskops_crds,
    ;
    run_record:
        a_lost_part_of_the_record_is_denied_with_our_crds,
        a_lost_part_of_the_record_is_put_back_with_casskops_crds,
        a_lost_part_of_the_record_is_denied_without_the_mutating_webhook,
        no_write_of_casskop_touches_the_record,
    ;
    delete:
        an_invalid_object_can_be_deleted,
        an_object_can_be_deleted_during_an_outage,
        deleting_a_running_restore_warns_that_it_continues,
        a_backup_in_use_is_deleted_with_its_namespace,
    ;
    defaults:
        the_stored_restore_names_its_entities_and_secret,
        a_backup_without_a_tag_gets_a_unique_one,
        a_second_apply_changes_nothing,
        a_second_server_side_apply_changes_nothing,
        unknown_fields_are_kept,
    ;
    dry_run:
        a_dry_run_of_a_whole_batch_passes_with_warnings,
        a_dry_run_denies_mistakes_that_no_batch_can_correct,
        a_platform_team_can_be_strict_about_dry_runs,
        a_dry_run_shows_the_defaults,
    ;
    hostile:
        reviews_are_answered_during_attacks,
        a_client_of_tls_1_1_is_refused,
    ;
    large_reviews:
        memory_stays_bounded_whatever_the_json_of_reviews_is,
    ;
    server_side_apply:
        two_managers_share_one_backup,
        the_merged_object_is_judged_for_every_manager,
        defaulted_fields_have_no_owner_and_stay,
    ;
    ordering:
        a_cluster_of_the_same_file_is_never_missing,
        a_backup_that_just_completed_can_be_restored,
        a_datacenter_that_was_just_added_is_known,
        a_secret_that_was_just_corrected_is_accepted,
        a_folder_as_flux_and_helm_order_it_passes_where_missing_references_warn,
        a_folder_as_flux_and_helm_order_it_is_denied_with_the_remedy_where_references_are_required,
        helm_installs_a_release_after_the_cluster,
    ;
    parallel:
        five_hundred_applies_get_the_right_verdict_each,
    ;
    calls:
        only_creations_and_changed_specs_are_reviewed_with_our_crds,
        only_creations_and_changed_specs_are_reviewed_with_casskops_crds,
        empty_fields_cause_no_call_with_our_crds,
        empty_fields_cause_no_call_with_casskops_crds,
        writes_of_an_executor_cause_no_call_with_our_crds,
        writes_of_an_executor_cause_no_call_with_casskops_crds,
        clearing_the_status_of_a_scheduled_backup_is_admitted_with_our_crds,
        clearing_the_status_of_a_scheduled_backup_is_admitted_with_casskops_crds,
        a_namespace_can_be_exempt,
        deleting_a_restore_calls_cassgate_only_while_it_is_unfinished,
    ;
    availability:
        during_an_outage_new_objects_are_rejected_and_other_writes_continue,
        with_ignore_every_object_is_admitted_during_an_outage,
        it_recovers_after_a_restart,
        sigterm_ends_it_with_exit_code_0,
        an_unusable_certificate_ends_the_process_and_names_its_file,
        without_an_api_server_it_answers_local_rules_and_reports_why_it_is_not_ready,
        the_shared_gate_is_ready_and_alive,
    ;
    beside_casskop:
        valid_objects_pass_without_warnings,
        mistakes_that_casskop_would_drop_silently_are_denied,
        casskop_can_write_everything_when_cluster_and_secret_are_deleted,
    ;
    reviews:
        an_invalid_review_gets_400,
        a_body_over_eight_mebibytes_gets_413,
        a_spec_with_wrong_types_is_denied_with_the_path_of_each_field,
        the_mutating_webhook_never_denies,
        an_unknown_kind_passes_with_a_warning,
        only_post_requests_to_the_two_paths_are_answered,
    ;
    rollout:
        ten_rolling_restarts_of_two_replicas_lose_no_review,
        at_sigterm_a_review_in_flight_is_answered_while_a_handshake_hangs,
        at_sigterm_a_body_that_never_ends_is_cut_at_the_deadline,
    ;
    secrets:
        no_secret_value_appears_in_an_answer_a_log_or_a_metric,
        an_unreadable_secret_is_a_warning_that_names_the_required_role,
    ;
    self_signed:
        the_overlays_command_line_starts,
        an_empty_secret_and_two_configurations_are_sufficient,
        two_replicas_share_one_authority,
        authorities_rotate_under_load_while_replicas_are_killed,
        a_secret_that_is_emptied_corrupted_or_deleted_loses_no_review,
        a_secret_of_another_owner_is_kept_and_named,
        a_concurrently_changed_configuration_is_not_overwritten,
    ;
    cert_manager:
        ten_renewals_by_cert_manager_under_load_lose_no_review,
    ;
    lease:
        the_second_replica_takes_over_at_once_after_a_release_and_later_after_silence,
        fields_of_the_lease_outside_its_spec_are_kept_and_an_old_version_is_rejected,
    ;
    check_live:
        references_outside_the_files_are_read_from_the_cluster,
        a_restore_is_judged_by_the_backup_in_the_cluster_as_the_webhook_does,
        a_finished_restore_that_stands_unchanged_has_no_finding,
        a_started_backup_is_compared_with_what_an_apply_makes_of_it,
        a_changed_spec_of_a_started_backup_is_denied_as_by_the_webhook,
    ;
    check_rendered:
        unrendered_kustomizations_get_the_verdict_of_their_rendering,
    ;
    observability:
        the_metrics_after_real_traffic_are_valid_open_metrics,
        a_denial_is_one_log_line_with_uid_and_rules_and_without_the_object,
        the_log_level_can_be_changed_at_run_time,
    ;
    probe:
        a_good_path_is_reported_hop_by_hop,
        strict_dry_runs_are_not_a_broken_path,
        absent_or_weakened_configurations_are_reported,
        an_exempt_namespace_is_reported_with_its_label,
        a_ca_bundle_that_does_not_match_is_reported,
        a_service_without_endpoints_is_reported,
        a_certificate_with_a_wrong_name_or_time_is_reported,
        a_silent_or_foreign_server_is_reported,
        an_unreadable_hop_is_unknown,
        an_unreachable_api_server_and_invalid_options_exit_with_2,
    ;
    corpus:
        every_scenario_gets_the_same_verdict_from_a_real_api_server,
    ;
    static_policy:
        the_policy_agrees_with_the_rules_in_every_scenario,
        the_policy_agrees_with_the_rules_on_hostile_texts,
        the_policy_agrees_with_the_rules_on_updates,
        the_overlay_is_accepted_and_reports_one_mistake_at_a_time,
        an_object_beyond_the_cost_limit_passes_and_smaller_ones_are_denied_in_time,
    ;
    crds:
        our_crds_are_accepted_without_a_warning,
        the_printer_columns_show_state_and_progress,
        every_object_that_casskops_crds_accept_is_accepted,
    ;
    manifests:
        the_base_is_accepted_without_a_warning,
        the_role_has_exactly_the_rights_that_verdicts_need,
        every_overlay_is_accepted_without_a_warning,
        namespaced_objects_are_accepted_without_a_warning,
        the_api_server_adds_no_defaults_to_the_webhook_configurations,
        the_overlay_self_managed_gives_rights_on_three_objects_by_name,
        the_deployments_command_line_starts,
        a_ca_that_was_patched_in_survives_the_next_apply,
    ;
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok::<(), Failed>(())
    })
}

fn main() {
    let arguments = Arguments::from_args();
    let conclusion = libtest_mimic::run(&arguments, trials());
    let stopped = support::stop_everything();
    if let Err(violations) = &stopped {
        eprintln!("{violations}");
    }
    if stopped.is_err() && !conclusion.has_failed() {
        std::process::exit(101);
    }
    conclusion.exit();
}
