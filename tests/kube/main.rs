//! cassgate on a real kube-apiserver: what users, controllers and CI really see.
//!
//! One binary with a main of its own, so that the servers start once, on first use, and are stopped at the end.
//! Each test has a namespace and registers the shipped webhook configurations for that namespace only.
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
mod hostile;
mod lease;
mod manifests;
mod observability;
mod ordering;
mod parallel;
mod probe;
mod retention;
mod reviews;
mod rollout;
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
mod update;

use libtest_mimic::{Arguments, Failed, Trial};
use runs::{hardships, kills, needs, rivals};
use slots::{adoption, crowd, restarts, year};

/// A subject's tests, each under the name of its function: a sentence.
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
        a_slow_busy_or_broken_api_server_costs_knowledge_and_no_denial,
        watches_that_end_with_410_are_begun_anew,
        an_api_server_that_is_gone_for_a_minute_costs_no_denial_and_no_readiness,
    ;
    apply:
        a_good_backup_is_created_without_a_word,
        a_good_restore_is_created_without_a_word,
        one_mistake_is_told_in_one_line,
        every_mistake_of_a_backup_is_told_at_once,
        every_mistake_of_a_restore_is_told_at_once,
        one_bad_object_does_not_stop_the_others_of_a_file,
        every_way_to_write_gets_the_same_answer,
        a_user_who_may_read_no_secret_gets_the_same_verdict_and_no_details,
        an_object_without_a_name_yet_is_judged_too,
    ;
    retention:
        old_snapshots_leave_the_bucket_but_for_those_that_a_restore_asks_for,
    ;
    runs:
        a_backup_and_a_restore_bring_the_rows_back_and_tell_their_story,
        the_rights_of_the_executors_service_account_suffice,
        what_is_not_there_yet_is_waited_for,
        a_reconciler_that_is_stopped_and_started_goes_on_where_it_was,
        a_scheduled_backup_is_run_edited_suspended_resumed_and_restored_from_its_second_run,
    ;
    kills:
        a_backup_is_taken_once_wherever_the_reconciler_is_stopped,
        a_backup_is_taken_once_whichever_answer_is_lost,
        a_restore_brings_each_row_back_once_when_the_reconciler_is_stopped_before_an_act,
        a_restore_brings_each_row_back_once_when_the_reconciler_is_stopped_after_an_act,
        a_restore_brings_each_row_back_once_when_an_act_does_not_get_through,
        a_restore_brings_each_row_back_once_when_an_answer_is_lost,
    ;
    hardships:
        a_restore_that_is_deleted_ends_as_its_phase_allows,
        a_backup_that_is_deleted_meanwhile_is_restored_all_the_same,
        a_restore_whose_namespace_goes_lets_go_of_it,
        a_pod_that_comes_back_with_another_address_costs_no_row,
        once_the_crds_are_casskops_nothing_more_is_sent,
        a_clock_that_is_set_by_an_hour_and_an_api_server_that_is_gone_for_a_minute_cost_no_row,
        of_two_replicas_none_sends_again_what_the_other_one_sent_before_it_was_frozen,
    ;
    needs:
        what_the_next_run_lacks_is_told_once_before_it_is_due,
    ;
    rivals:
        what_casskop_writes_in_the_middle_of_a_restore_stops_it_before_the_next_request,
        casskops_put_in_the_middle_of_a_backup_stops_it_and_a_human_lets_it_go_on,
        an_operation_that_casskop_sent_to_a_sidecar_stops_a_restore_once_and_a_human_lets_it_go_on,
        a_finished_restore_stays_finished_when_casskop_writes_to_it,
        a_schedule_that_casskop_ran_goes_on_and_nothing_of_casskops_last_run_is_left,
        finalizers_of_others_are_there_before_and_after,
        casskops_crds_applied_in_the_middle_of_a_restore_stop_it_until_ours_are_back,
    ;
    adoption:
        what_casskop_scheduled_goes_on_from_now_and_can_be_given_back,
    ;
    crowd:
        of_backups_of_the_same_names_in_many_namespaces_every_slot_is_run_once,
    ;
    restarts:
        stopped_at_random_instants_a_reconciler_runs_every_slot_once,
    ;
    year:
        in_a_leap_year_every_slot_is_run_once_or_counted,
    ;
    update:
        an_old_mistake_is_a_warning_while_something_else_changes,
        a_new_mistake_is_refused_beside_an_old_one,
        an_old_mistake_may_not_become_another_one,
        an_old_mistake_can_be_mended,
        a_backup_outlives_its_cluster_and_can_still_be_changed,
        a_one_shot_that_has_started_keeps_its_spec,
        a_scheduled_backup_may_change_between_its_runs,
        forcing_an_edit_of_a_finished_restore_does_not_run_it_again,
    ;
    status:
        an_executor_can_write_whatever_the_spec_says_with_our_crds,
        an_executor_can_write_whatever_the_spec_says_with_casskops_crds,
        a_status_that_comes_with_a_new_object_is_dropped_with_our_crds,
        a_status_that_comes_with_a_new_object_is_dropped_and_told_with_casskops_crds,
        a_wiped_status_is_refused_with_our_crds,
        a_wiped_status_is_put_back_with_casskops_crds,
        replacing_a_finished_object_keeps_what_it_went_through_with_our_crds,
        replacing_a_finished_object_keeps_what_it_went_through_with_casskops_crds,
    ;
    delete:
        an_invalid_object_can_be_deleted,
        an_object_can_be_deleted_while_cassgate_is_away,
        deleting_a_running_restore_is_told_to_cancel_nothing,
        a_backup_in_use_goes_with_its_namespace,
    ;
    defaults:
        the_stored_restore_says_itself_what_it_will_do,
        a_backup_without_a_tag_gets_one_of_its_own,
        nothing_is_left_to_differ_the_second_time,
        nothing_is_left_to_differ_for_server_side_apply,
        fields_that_cassgate_does_not_know_survive,
    ;
    dry_run:
        a_batch_of_which_nothing_is_stored_passes_with_warnings,
        a_dry_run_still_refuses_what_no_batch_can_mend,
        a_platform_team_can_be_strict_about_dry_runs,
        a_dry_run_shows_the_defaults,
    ;
    hostile:
        honest_reviews_are_answered_while_others_do_their_worst,
        a_client_of_tls_1_1_is_refused,
    ;
    server_side_apply:
        two_managers_share_one_backup,
        the_merged_object_is_judged_whoever_applies,
        what_was_filled_in_belongs_to_nobody_and_stays,
    ;
    ordering:
        a_cluster_of_the_same_file_is_never_missing,
        a_backup_that_ended_a_moment_ago_can_be_restored,
        a_datacenter_that_was_added_a_moment_ago_is_known,
        a_secret_that_was_mended_a_moment_ago_is_good,
        a_folder_as_flux_and_helm_order_it_passes_where_missing_references_only_warn,
        a_folder_as_flux_and_helm_order_it_is_told_the_way_out_where_references_are_demanded,
        helm_installs_what_it_lists_where_the_cluster_came_first,
    ;
    parallel:
        five_hundred_applies_get_the_right_verdict_each,
    ;
    calls:
        only_creations_and_changed_specs_with_our_crds,
        only_creations_and_changed_specs_with_casskops_crds,
        an_executor_is_never_in_the_way_with_our_crds,
        an_executor_is_never_in_the_way_with_casskops_crds,
        a_scheduled_backup_may_forget_its_runs_with_our_crds,
        a_scheduled_backup_may_forget_its_runs_with_casskops_crds,
        a_namespace_can_be_left_alone,
        only_an_unfinished_restore_is_asked_about_when_it_is_deleted,
    ;
    availability:
        while_cassgate_is_away_nothing_new_gets_in_and_the_rest_goes_on,
        with_ignore_everything_gets_in_while_cassgate_is_away,
        it_comes_back_as_if_nothing_had_been,
        sigterm_ends_it_with_exit_code_0,
        an_unusable_certificate_is_told_with_its_file_and_ends_it,
        without_an_api_server_it_starts_answers_what_it_can_and_says_why_it_is_not_ready,
        the_shared_gate_is_ready_and_alive,
    ;
    beside_casskop:
        good_objects_pass_without_a_word,
        what_casskop_would_give_up_in_silence_is_refused_aloud,
        casskop_can_do_all_its_writes_when_cluster_and_secret_are_gone,
    ;
    reviews:
        bytes_that_are_no_review_get_400,
        a_body_that_would_be_longer_than_eight_mebibytes_gets_413,
        a_spec_of_the_wrong_shape_is_refused_by_the_paths_that_do_not_fit,
        the_mutating_side_never_refuses,
        another_kind_passes_with_a_warning,
        only_post_on_the_two_paths_is_answered,
    ;
    rollout:
        ten_rolling_restarts_of_two_replicas_cost_no_review,
        at_sigterm_a_review_under_way_is_answered_though_a_handshake_hangs,
        at_sigterm_a_body_that_never_ends_is_cut_at_the_deadline,
    ;
    secrets:
        no_value_of_a_secret_is_in_an_answer_a_log_or_a_metric,
        where_secrets_may_not_be_read_the_check_is_a_warning_that_says_how_to_allow_it,
    ;
    self_signed:
        the_command_line_of_the_overlay_runs,
        an_empty_secret_and_two_configurations_are_enough,
        two_replicas_share_one_authority,
        authorities_rotate_under_load_while_replicas_are_killed,
        a_secret_that_is_emptied_broken_or_deleted_by_hand_costs_no_review,
        a_secret_that_is_not_cassgates_is_left_alone_and_named,
        a_configuration_that_was_changed_meanwhile_is_not_overwritten,
    ;
    cert_manager:
        ten_renewals_by_cert_manager_under_load_cost_no_review,
    ;
    lease:
        of_two_replicas_one_leads_and_the_other_follows_a_release_at_once_and_a_silence_later,
        what_is_on_the_lease_beside_its_spec_stays_and_an_old_version_is_refused,
    ;
    check_live:
        what_the_files_lack_is_asked_of_the_cluster,
        a_restore_is_judged_by_the_backup_in_the_cluster_as_the_webhook_does,
    ;
    check_rendered:
        what_is_judged_unrendered_gets_the_verdict_of_what_kustomize_makes_of_it,
    ;
    observability:
        the_metrics_after_real_traffic_are_open_metrics_by_promtool,
        a_refusal_is_one_line_with_uid_and_rules_and_never_the_object,
        the_log_level_is_changed_while_it_runs,
    ;
    probe:
        a_good_path_is_told_hop_by_hop,
        a_dry_run_that_is_held_to_its_references_is_no_broken_path,
        configurations_that_are_absent_or_ask_for_less_are_told,
        a_namespace_that_is_exempt_is_told_with_the_label,
        a_ca_bundle_that_does_not_vouch_is_told,
        a_service_that_leads_nowhere_is_told,
        a_certificate_of_another_name_or_time_is_told,
        a_server_that_is_silent_or_says_something_else_is_told,
        what_may_not_be_read_is_unknown_and_never_guessed,
        an_api_server_that_is_away_and_options_that_are_none_end_with_2,
    ;
    corpus:
        every_scenario_gets_the_same_verdict_from_a_real_api_server,
    ;
    static_policy:
        the_policy_says_what_the_rules_say_of_every_scenario,
        hostile_texts_get_the_rules_verdict_from_the_policy,
        a_change_gets_the_rules_verdict_from_the_policy,
        the_overlay_is_accepted_and_tells_one_mistake_at_a_time,
        what_is_too_large_to_judge_passes_and_the_rest_is_refused_in_time,
    ;
    crds:
        our_crds_are_accepted_without_a_warning,
        the_columns_tell_what_matters,
        every_object_that_casskop_takes_is_taken,
    ;
    manifests:
        the_base_is_accepted_without_a_warning,
        the_role_can_read_what_verdicts_need_and_nothing_else,
        every_overlay_is_accepted_without_a_warning,
        what_stands_in_one_namespace_is_accepted_without_a_warning,
        the_api_server_fills_nothing_into_the_webhook_configurations,
        the_overlay_self_managed_gives_rights_on_three_objects_by_name,
        the_deployment_runs,
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
    let farewell = support::stop_everything();
    if let Err(complaints) = &farewell {
        eprintln!("{complaints}");
    }
    if farewell.is_err() && !conclusion.has_failed() {
        std::process::exit(101);
    }
    conclusion.exit();
}
