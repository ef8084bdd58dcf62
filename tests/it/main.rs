//! The tests of the workspace, in one binary.

// A failed `unwrap` is a failed test. Thread-local values are used while their thread lives.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bars;
mod behaviour;
mod chaos;
#[cfg(feature = "cluster")]
mod cluster;
mod conformance;
mod cpus;
mod doors;
mod edges;
mod environments;
mod examples;
mod harness;
mod jobs;
mod layers;
mod outputs;
mod parents;
mod programs;
mod signals;
mod tidy;
mod ui;

use harness::behaviours;

behaviours! {
    submit {
        returns_what_the_function_returns on all;
        lends_borrowed_arguments on all;
        takes_no_argument_and_many on all;
        an_error_of_the_function_is_its_result on all;
        handles_join_in_any_order on all;
        a_task_can_stand_anywhere on all;
        a_task_is_a_plain_struct on all;
        a_task_can_be_written_by_hand on all;
        a_task_can_have_a_name_of_its_own on all;
        a_dropped_handle_detaches on all;
    }
    generics {
        run_as_listed on all;
        methods_take_their_value_along on all;
        are_in_the_catalog_by_instance on [inline] "the catalog is the program's";
        know_their_names on [inline] "names are the program's";
    }
    asynchronous {
        functions_run_to_their_end on all;
        panics_and_errors_are_those_of_the_task on all;
        a_cancelled_one_is_dropped on [threads, processes] "inline, submit runs the task";
        a_cancelled_one_is_not_dropped_by_a_panic on [threads, processes]
            "inline, submit runs the task";
        one_that_is_too_late_is_dropped on [threads, processes]
            "inline, nothing stops a task that waits";
        tasks_that_await_tasks_of_their_pool_end on all;
        tokio_drives_sockets_and_timers on all;
        run_inside_of_a_runtime_of_the_program on all;
    }
    sizes {
        every_size_survives_both_ways on all;
        every_size_survives_each_way on all;
        sizes_mix_in_one_pool on all;
        sizes_mix_under_load on all;
        large_results_wait_for_their_handles on all;
        large_arguments_wait_for_a_worker on all;
    }
    effects {
        never_run_in_a_thread_that_looks on [threads, processes]
            "inline, a handle has its outcome from the start";
        callbacks_are_never_nested on all;
        wakers_are_never_nested on all;
        a_callback_may_block_on_a_future on all;
        a_waker_that_blocks_delays_no_deadline on [threads, processes]
            "inline, submit runs the task";
        a_destructor_that_blocks_delays_no_deadline on [threads, processes]
            "inline, submit runs the task";
        a_waker_that_is_replaced_may_drop_the_pool on [threads, processes]
            "inline, submit runs the task";
        a_waker_may_drop_the_pool on [threads, processes] "inline, submit runs the task";
    }
    memory {
        is_bounded_by_what_is_in_flight on all;
        of_large_values_goes_back_while_others_run on [processes]
            "the other backends share no memory" not cluster "nor does the submitter there";
        of_large_values_goes_back_afterwards on [processes]
            "the other backends share no memory" not cluster "nor does the submitter there";
    }
    values {
        of_every_kind_come_back on all;
        of_floating_point_keep_every_bit on all;
        of_no_size_are_counted on all;
        of_some_depth_survive on all;
    }
    serde_types {
        with_any_attribute_arrive on all;
        of_other_crates_arrive on all;
        that_cannot_arrive_say_why on all;
        are_those_of_the_moment_of_submit on all;
        paths_of_every_name_arrive on all;
    }
    results {
        errors_of_every_kind_arrive_as_they_were on all;
        chains_keep_their_messages_and_types on all;
        an_error_type_of_their_own_is_itself on all;
        long_errors_are_cut_and_arrive on all;
        a_panic_of_an_error_is_one_of_its_task on all;
        errors_pass_through_nested_pools on all;
        flatten_makes_one_of_two on all;
        flatten_takes_a_map_apart on all;
        errors_go_on_with_a_question_mark on all;
    }
    waiting {
        nothing_is_waited_for_at_once on all;
        all_are_waited_for on all;
        the_first_one_ends_it on [threads, processes] "inline, submit runs the task";
        time_ends_it on [threads, processes] "inline, submit runs the task";
        the_first_error_ends_it on [threads, processes] "inline, submit runs the task";
        errors_of_other_kinds_end_it on [threads, processes] "inline, submit runs the task";
        a_lost_worker_is_an_error on [processes] "it ends the program";
        results_come_as_they_are_ready on [threads, processes] "inline, submit runs the task";
        each_comes_once_with_its_own_result on all;
        errors_come_like_results on all;
        pools_mix on all;
        finished_ones_come_at_once on [threads, processes] "inline, submit runs the task";
        time_ends_the_iterator_and_gives_the_rest_back on [threads, processes]
            "inline, submit runs the task";
        one_that_was_joined_says_so on all;
        dropped_it_detaches on all;
        several_threads_wait_for_the_same on [threads, processes]
            "inline, submit runs the task";
        a_cancel_is_noticed on [threads, processes] "inline, submit runs the task";
        a_kill_is_noticed on [threads, processes] "inline, submit runs the task";
        inside_of_a_task_it_ends on all;
        inside_of_a_task_nobody_else_is_needed on [threads]
            "a worker process does not have the pools of its parent";
        a_mix_of_long_and_short_ones_ends on all;
    }
    scope {
        everything_is_done_at_its_end on all;
        of_nothing_is_nothing on all;
        results_are_joined_inside on all;
        the_first_error_cancels_the_others on [threads, processes]
            "inline, submit runs the task";
        an_error_that_is_joined_cancels_the_others on [threads, processes]
            "inline, submit runs the task";
        a_question_mark_ends_it on all;
        a_panic_of_the_code_cancels_all_and_waits on [threads, processes]
            "inline, submit runs the task";
        a_cancel_is_no_failure on [threads, processes] "inline, submit runs the task";
        a_cancel_excuses_no_failure on all;
        a_pool_that_was_shut_down_fails_it on all;
        scopes_nest on all;
        its_handles_are_futures on all;
    }
    seeds {
        are_the_same_everywhere on all;
        stay_in_a_retry on all;
        travel_with_large_arguments on all;
        of_a_task_are_its_own on all;
        that_were_not_given_are_random on all;
    }
    streams {
        give_what_the_map_gives on all;
        keep_to_their_bound on all;
        go_on_when_others_fill_the_queue on [threads, processes] "inline, nothing is queued";
        dropped_half_way_cancel_what_has_not_started on [threads, processes]
            "inline, submit runs the task";
        run_on_every_executor on all;
        submit_async_waits_on_every_executor on all;
        a_handle_cancels_when_it_is_dropped_if_it_was_told_to on [threads, processes]
            "inline, submit runs the task";
        a_select_that_drops_a_handle_loses_nothing on all;
        inside_of_a_task_of_the_same_pool_they_end on [inline, threads]
            "a worker process does not have the pools of its parent";
    }
    map {
        keeps_the_order on all;
        of_nothing_is_nothing on all;
        pulls_nothing_before_the_first_next on all;
        pulls_at_most_the_window_ahead on all;
        a_window_of_nothing_is_one on all;
        takes_an_endless_input on all;
        returns_what_is_ready_before_it_reads_a_slow_input on [threads, processes]
            "inline, a map does not read ahead";
        reads_ahead_again_once_a_slow_input_is_quick on [threads, processes]
            "inline, a map does not read ahead";
        goes_on_after_errors on all;
        borrows_its_input on all;
        knows_its_length on all;
        asks_no_input_again_after_its_end on all;
        dropped_half_way_it_cancels_what_has_not_started on [threads, processes]
            "inline, submit runs the task: all that was pulled is done";
        dropped_while_tasks_run_it_leaves_the_pool_usable on all;
        several_share_a_pool on all;
        of_the_results_of_a_map on all;
        a_panic_of_the_input_leaves_the_pool_usable on all;
        outlives_the_last_name_of_its_pool on all;
        moves_to_another_thread on all;
        on_a_pool_that_was_shut_down_every_task_is_rejected on all;
        two_maps_share_a_pool_fairly on [threads, processes] "inline, one task runs at a time";
        inside_of_a_task_it_ends on all;
    }
    map_forms {
        unordered_the_first_that_is_ready_comes_first on [threads, processes]
            "inline, one task runs at a time";
        unordered_each_comes_once on all;
        unordered_it_keeps_to_its_bound on all;
        unordered_a_worker_that_dies_costs_one_of_them on [processes] "it ends the program";
        keeps_to_its_bound_of_bytes on all;
        what_is_larger_than_the_bound_goes_alone on all;
        each_item_has_its_time on [threads, processes] "inline, nothing is stopped";
        an_item_keeps_a_timeout_of_its_own on [threads, processes] "inline, nothing is stopped";
        stops_at_the_first_error on all;
        stops_what_runs_elsewhere on [threads, processes] "inline, one task runs at a time";
        stops_at_a_timeout_if_it_is_told_to on [processes] "a thread is not stopped";
        gives_the_input_back_beside_an_error on all;
        gives_no_input_back_that_cannot_be_copied on all;
        errors_know_their_item on all;
        knows_its_length_unless_it_may_end_early on all;
    }
    chunks {
        each_failure_is_that_of_its_own_task on all;
        a_worker_that_dies_costs_one_of_them on [processes] "it ends the program";
        a_worker_that_is_killed_costs_one_of_them on [processes] "it ends the program";
        a_long_one_keeps_back_neither_results_nor_tasks on [threads, processes]
            "inline, one task runs at a time";
        many_long_ones_at_once_keep_back_nothing on [threads, processes]
            "inline, one task runs at a time";
        a_worker_that_dies_after_it_was_robbed_costs_one_of_them on [processes]
            "it ends the program";
        dropping_the_map_starts_no_more_of_them on [threads, processes]
            "inline, one task runs at a time"
            not cluster "an agent goes on with a chunk until it hears that nobody wants it";
        a_panic_of_the_input_loses_none on all;
        an_argument_that_does_not_encode_spoils_no_other on all;
        large_and_small_arguments_mix on all;
        tasks_with_deadlines_keep_their_place on all;
        each_knows_itself on all;
        the_window_holds_for_chunks_too on all;
        a_kill_in_the_middle_resolves_all on all;
        after_a_kill_none_of_them_starts on [threads, processes]
            "inline, one task runs at a time";
        a_shutdown_in_the_middle_resolves_all on all;
        of_many_threads_do_not_mix on all;
    }
    handle {
        join_timeout_gives_up_and_can_be_asked_again on [threads, processes]
            "inline, a handle is finished before it is returned";
        join_timeout_takes_any_limit on all;
        try_join_does_not_wait on [threads, processes]
            "inline, a handle is finished before it is returned";
        the_result_is_handed_out_once on all;
        an_error_is_handed_out_once on all;
        of_many_that_ask_one_gets_the_result on all;
        tells_queued_running_and_finished_apart on [threads, processes]
            "inline, a handle is finished before it is returned";
        is_finished_without_anybody_waiting on all;
        outlives_its_pool on all;
        moves_to_another_thread on all;
        many_threads_wait_for_tasks_in_a_backlog on [threads, processes]
            "inline, there is no backlog";
    }
    futures {
        resolve_to_the_outcome on all;
        many_are_awaited_in_turn on all;
        many_are_awaited_together on all;
        a_queued_one_is_woken on [threads, processes]
            "inline, nothing is queued";
        a_cancelled_one_is_woken on [threads, processes]
            "inline, nothing can be cancelled";
        moves_between_executors on [threads, processes]
            "inline, a handle is finished before it is returned";
        a_waker_that_panics_harms_nothing on [threads, processes]
            "inline, a handle is finished before it is returned";
        dropped_after_a_poll_it_detaches on all;
    }
    callbacks {
        run_in_order_after_the_end on [threads, processes]
            "inline, the end comes before a callback can be added";
        on_a_finished_task_it_runs_at_once on all;
        run_without_anybody_waiting on all;
        run_for_errors_and_cancelled_tasks_too on all;
        a_panic_in_one_harms_nothing on all;
        may_submit on all;
        may_join on all;
        may_hold_and_drop_the_last_name_of_the_pool on all;
        of_a_cancelled_queued_task_may_submit on [threads, processes]
            "inline, nothing is queued";
    }
    cancel {
        a_queued_task_never_runs on [threads, processes]
            "inline, nothing is queued";
        a_running_task_is_told on [threads, processes]
            "inline, nobody has a handle while the task runs";
        a_task_that_does_not_listen_loses_its_worker on [processes]
            "a thread cannot be stopped: the task would go on for ever";
        a_task_that_returns_within_the_grace_keeps_its_worker on [threads, processes]
            "inline, nobody has a handle while the task runs";
        a_finished_task_is_not_cancelled on all;
        a_finished_task_that_nobody_looked_at_is_not_cancelled on all;
        the_second_cancel_says_no on [threads, processes]
            "inline, nothing can be cancelled";
        wakes_who_waits on [threads, processes]
            "inline, nobody waits";
        a_large_task_is_cancelled_at_any_moment on all;
        storms_leave_the_pool_whole on all;
    }
    lifecycle {
        drop_waits_for_everything on all;
        a_clone_keeps_the_pool on all;
        shutdown_waits_and_takes_no_more on all;
        a_pool_that_was_shut_down_says_so on all;
        shutdown_by_several_threads_waits_in_each on
            [threads, processes]
            "inline, submit returns when the task is done";
        submits_that_cross_a_shutdown_run_or_are_rejected on all;
        kill_cancels_what_has_no_outcome on
            [threads, processes]
            "inline, every handle has its outcome";
        kill_ends_a_task_that_never_returns on [processes]
            "a thread cannot be stopped: kill would wait for ever";
        kill_wakes_who_waits on
            [threads, processes]
            "inline, nobody waits";
        kill_ends_a_shutdown_that_waits on
            [threads, processes]
            "inline, shutdown does not wait";
        a_kill_or_a_drop_at_any_moment on all;
        a_pool_that_nobody_used_goes_quietly on all;
        pools_live_side_by_side on all;
        a_pool_is_built_by_any_thread on all;
    }
    shutdown {
        with_a_limit_it_cancels_the_queued_and_waits_for_the_running on [threads, processes]
            "inline, nothing is queued";
        with_a_limit_it_cancels_the_rest_of_a_map on [threads, processes]
            "inline, nothing is queued";
        with_a_limit_it_kills_who_does_not_end on [processes]
            "a thread cannot be stopped";
        with_a_limit_it_gives_a_thread_up on [threads] "a worker process is killed";
        a_drop_while_the_program_panics_waits_too on all;
        from_a_callback_it_closes_the_pool on all;
        from_two_sides_each_way_ends on all;
    }
    sharing {
        ten_threads_do_all_kinds_of_things on all;
        one_handle_for_each_of_many_tasks on all;
        short_tasks_pass_a_long_one on [threads, processes]
            "inline, submit returns when the task is done";
        as_many_tasks_run_as_there_are_workers on [threads, processes]
            "inline, one task runs at a time";
    }
    nested {
        a_task_waits_for_tasks_of_its_own_pool on [inline, threads]
            "a worker process does not have the pool it belongs to";
        a_task_maps_on_its_own_pool on [inline, threads]
            "a worker process does not have the pool it belongs to";
        a_task_closes_its_own_pool_in_the_middle_of_a_map on [threads]
            "a worker process does not have the pool it belongs to; inline, nothing is ahead";
        a_task_shuts_its_own_pool_down on [inline, threads]
            "a worker process does not have the pool it belongs to";
        a_task_drops_the_last_name_of_its_own_pool on [inline, threads]
            "a worker process does not have the pool it belongs to";
        a_task_builds_a_pool_of_any_kind on all;
        process_pools_nest_to_their_limit on all;
        pools_of_one_worker_nest_in_every_order on all;
        a_task_ends_a_busy_pool on all;
        tasks_of_two_pools_wait_for_each_other on
            [inline, threads]
            "a worker process does not have the pools of its parent";
        a_pool_that_a_task_leaves_behind_ends_with_its_worker on [processes]
            "elsewhere it is left behind in this process, and lives as long";
    }
    stacks {
        a_worker_has_as_much_as_main on [threads, processes] "inline is the caller's stack";
        a_pool_has_what_it_asks_for on [threads, processes] "inline is the caller's stack"
            not cluster "an agent has its own";
        a_small_one_is_large_enough on all;
        a_large_one_is_an_error_that_names_it on all not cluster "an agent has its own";
    }
    extremes {
        options_of_a_pool on all;
        the_time_to_start on all;
        numbers_of_workers on all;
        options_of_a_task on all;
        options_of_a_map on all;
        limits_of_waiting on all;
        the_time_to_end on all;
    }
    destructors {
        a_pool_is_used on all;
        a_pool_ends_there on all;
        a_worker_of_the_pool_uses_it on [threads] "the threads of other workers end with them";
    }
    context {
        a_task_knows_itself on all;
        any_number_of_clones_may_be_kept on all;
        workers_are_numbered on [threads, processes]
            "inline, there is one";
        a_direct_call_stays_in_its_task on all;
        tasks_inside_tasks_know_their_own_names on all;
        a_task_sees_the_programs_environment_and_folder on all;
        standard_input_is_at_its_end on all;
        a_task_may_call_init on all;
        a_worker_has_no_descriptors_of_others on [processes]
            "elsewhere a task has the descriptors of the program";
        a_worker_keeps_no_pipe_open on [processes] "elsewhere there is one process";
        a_task_starts_programs_of_its_own on all;
        an_interrupt_is_nothing_to_a_worker on [processes] "it ends the program";
        what_a_task_starts_can_be_interrupted on [processes]
            "it can where the program can be";
    }
    panics {
        arrives_with_message_and_place on all;
        leaves_its_worker_alive on all;
        of_any_payload_is_an_error on all;
        of_any_length_is_an_error on all;
        in_the_destructor_of_a_result_does_not_end_its_worker on all;
        in_the_destructor_of_an_argument_is_an_error on all;
        caught_by_the_task_is_its_own_business on all;
        under_a_hook_of_the_task_is_an_error_all_the_same on all;
        in_a_thread_of_the_task_is_the_tasks_business on all;
    }
    codec {
        of_an_argument on all;
        of_a_result on all;
        says_whether_it_is_the_argument_or_the_result on
            [processes]
            "elsewhere nothing is encoded";
        costs_one_task_among_many on all;
        of_bytes_that_are_left_over on all;
        of_a_type_that_needs_another_format on all;
        of_large_arguments_that_are_written_otherwise_the_second_time on all;
        of_large_arguments_that_never_run on [processes]
            "a thread that runs for ever could not be ended";
    }
    timeouts {
        of_many_hanging_tasks_leave_the_pool_whole on [processes]
            "a thread cannot be stopped: the tasks would go on for ever";
        of_the_function_and_of_the_call on all;
        not_reached_change_nothing on all;
        count_from_the_start_of_the_task on [threads, processes]
            "inline, nothing waits for its start";
        tell_the_task on [threads, processes]
            "inline, the deadline is looked at when the task is done";
        kill_and_replace_a_worker_that_does_not_listen on [processes]
            "a thread cannot be stopped: the task would go on for ever";
        reach_a_worker_that_is_stopped on [processes]
            "the signal would stop this process";
        resolve_without_anybody_waiting on [threads, processes]
            "inline, the deadline is looked at when the task is done";
        run_callbacks on [threads, processes]
            "inline, the deadline is looked at when the task is done";
        of_nothing_are_over_at_once on all;
        cost_only_the_task_that_is_late on all;
        that_come_late_harm_no_later_task on all;
    }
    retries {
        until_it_works on all;
        until_there_are_no_more on all;
        without_leave_nothing_runs_twice on all;
        of_tasks_whose_worker_dies on [processes] "it ends the program";
        a_task_that_kills_its_workers_is_given_up on [processes] "it ends the program";
        of_tasks_that_are_killed_from_outside on [processes] "it ends the program";
        after_a_deadline on [processes]
            "a thread cannot be stopped: the late run goes on, so there is no other";
        of_arguments_of_every_size on all;
        not_of_what_cannot_be_encoded on all;
        a_cancelled_one_does_not_come_back on [threads, processes]
            "inline, nobody has a handle while the task runs";
        a_cancel_that_meets_the_end_of_a_run_counts on [threads, processes]
            "inline, nobody has a handle while the task runs";
        others_run_while_one_waits on [threads, processes]
            "inline, submit returns when the task is done";
        a_pool_that_ends_waits_for_them on all;
        a_pool_that_is_killed_does_not on [threads, processes]
            "inline, every handle has its outcome";
        of_a_map_keep_their_places on all;
        of_a_task_that_a_task_waits_for on all;
        who_does_not_start_in_time_never_does on [threads, processes]
            "inline, nothing is queued";
        who_has_started_in_time_may_take_longer on [threads, processes]
            "inline, nothing is queued";
    }
    life {
        begins_with_the_initializer on all;
        begins_again_with_it_after_a_death on [processes] "it ends the program";
        an_initializer_that_fails_breaks_the_pool on all;
        an_initializer_that_hangs_breaks_the_pool on [processes]
            "a thread cannot be stopped: the pool would wait for it for ever";
        an_initializer_that_dies_breaks_the_pool_after_some_tries on [processes]
            "it ends the program";
        ends_after_its_tasks on [processes] "a thread leaves nothing that its end would clear";
        ends_when_there_is_nothing_to_do_and_comes_back on [processes]
            "an idle thread costs nothing but its stack";
        can_become_more on [threads, processes] "inline, there is one worker";
        can_become_fewer on [threads, processes] "inline, there is one worker";
        can_change_at_any_time on [threads, processes] "inline, there is one worker";
        has_no_more_memory_than_it_may on [processes] "threads share their memory";
        that_leaks_is_replaced_between_two_tasks on [processes] "threads share their memory";
        has_the_environment_and_folder_that_it_is_given on [processes]
            "threads share those of the program";
    }
    pressure {
        try_submit_hands_the_task_back on [threads, processes] "inline, nothing is queued";
        submit_waits_for_room on [threads, processes] "inline, nothing is queued";
        a_submit_that_waits_ends_with_the_pool on [threads, processes]
            "inline, nothing is queued";
        bytes_are_bounded_too on [threads, processes] "inline, nothing is queued";
        a_future_waits_for_room on [threads, processes] "inline, nothing is queued";
        a_place_that_is_not_taken_is_anothers on [processes]
            "only there arguments are encoded on their way in";
        a_future_that_waits_ends_with_the_pool on [threads, processes]
            "inline, nothing is queued";
        maps_keep_to_it on all;
        tasks_of_the_pool_itself_do_not_wait on [inline, threads]
            "callbacks run on no worker of the pool";
        a_hundred_thousand_are_cancelled on [threads, processes] "inline, nothing is queued";
        stats_count_what_happens on [threads, processes] "inline, nothing is queued";
    }
    progress {
        ends_with_the_last_state on all;
        counts_failures on all;
        of_every_form_of_a_map_is_told on all;
        of_a_map_that_ends_early_is_finished on all;
        of_an_input_of_unknown_length_has_no_total on all;
        of_nothing_is_over_at_once on all;
        of_a_dropped_map_ends_too on all;
        of_a_map_that_a_panic_drops_ends_too on all;
        is_told_while_the_consumer_waits on all;
        a_callback_that_panics_is_not_called_again on all;
        a_callback_may_map on all;
        of_many_maps_at_once_do_not_mix on all;
        in_a_task_is_told_there on all;
    }
    stats {
        every_task_counts_once on all;
        each_worker_counts_its_own on all;
        failures_count_by_kind on all;
        what_a_worker_has_done_outlives_it on [processes] "it ends the program";
        an_initializer_is_no_task on all;
        what_is_not_measured_is_not_told on all;
        an_idle_pool_says_so on all;
        a_running_task_is_told on all;
        busy_workers_name_the_longest_task on [threads, processes] "inline, nothing is queued";
        one_that_hangs_among_quick_ones_grows_old on [threads, processes]
            "inline, nobody has a handle while the task runs";
        submitters_that_wait_are_told on [threads, processes] "inline, nothing is queued";
        retries_that_wait_are_told on [threads, processes]
            "inline, nobody has a handle while the task runs";
        workers_that_wait_inside_are_told on [threads]
            "a worker process does not have the pools of its parent";
        overdue_tasks_are_told on [threads, processes]
            "inline, nobody has a handle while the task runs";
        stopped_workers_are_told on [processes] "it stops the program";
        initializers_that_run_are_told on [threads, processes]
            "inline, it runs in the builder";
        ends_are_told on all;
        a_pool_that_drains_says_what_is_left on [threads, processes] "inline, nothing is queued";
        starts_that_fail_are_told on [processes] "it ends the program";
        resting_workers_are_told on [processes] "an idle thread costs nothing but its stack";
        looking_harms_nobody on all;
    }
    crash {
        exit_tells_its_code on [processes] "it ends the program";
        abort_tells_its_signal on [processes] "it ends the program";
        segfault_tells_its_signal on [processes] "it ends the program";
        stack_overflow_tells_its_signal on [processes] "it ends the program";
        every_deadly_signal_is_told on [processes] "it ends the program";
        kill_from_outside_names_the_killed on [processes] "it ends the program";
        a_worker_killed_while_idle_is_replaced on [processes] "it ends the program";
        all_workers_killed_at_once_are_replaced on [processes] "it ends the program";
        a_stopped_worker_holds_up_its_own_task_only on [processes] "it stops the program";
        an_idle_worker_that_is_stopped_holds_up_one_task_at_most on [processes]
            "it stops the program";
        what_waits_in_a_dead_workers_lane_runs_elsewhere_once on [processes]
            "it ends the program";
        large_tasks_of_a_dead_worker_run_elsewhere on [processes] "it ends the program";
        at_most_one_task_fails_for_each_kill on [processes] "it ends the program";
        crashing_and_healthy_tasks_mix on [processes] "it ends the program";
        a_worker_that_dies_after_its_task_is_replaced on [processes] "it ends the program";
        a_task_may_close_all_descriptors on [processes]
            "it closes those of the program";
        a_worker_cannot_leave_its_group on [processes]
            "a thread has no process group";
        what_a_worker_has_started_ends_with_it on [processes]
            "it belongs to the program";
    }
    workers {
        that_say_nothing_are_an_error on [processes] "there is no worker program";
        that_end_at_once_are_an_error on
            [processes]
            "there is no worker program";
        that_talk_nonsense_are_an_error on [processes] "there is no worker program";
        of_another_version_are_an_error on [processes] "there is no worker program";
        that_cannot_be_started_are_an_error on [processes] "there is no worker program";
        that_are_other_programs_are_an_error on
            [processes]
            "there is no worker program";
        that_end_after_their_hello_break_the_pool on
            [processes]
            "there is no worker program";
        that_never_serve_can_be_given_up on [processes] "there is no worker program";
        that_write_nonsense_fail_their_tasks_only on [processes] "there is no worker program";
        that_scribble_over_their_lane_harm_only_themselves on [processes]
            "there is no worker program";
        that_claim_large_results_take_no_memory_of_the_parent on
            [processes]
            "there is no worker program";
        that_flood_their_socket_hold_up_nobody_else on [processes] "there is no worker program";
        whose_memory_runs_wild_harm_their_own_tasks_only on
            [processes]
            "there is no worker program";
        that_talk_nonsense_later_harm_their_own_tasks_only on
            [processes]
            "there is no worker program";
        that_go_wrong_at_their_start_harm_nobody on [processes] "there is no worker program";
        that_send_descriptors_leave_none_here on [processes] "there is no worker program";
        that_skip_tasks_unasked_fail_them on [processes] "there is no worker program";
        that_have_done_what_they_were_not_given_fail_it on
            [processes]
            "there is no worker program";
        that_work_out_of_order_fail_their_tasks on [processes] "there is no worker program"
            not cluster "an agent gives a worker one task after the other, unless they are quick";
        that_never_say_that_they_sleep_hold_up_nobody on
            [processes]
            "there is no worker program";
        that_run_wild_when_told_to_stop_are_killed on
            [processes]
            "there is no worker program";
        of_another_program_serve_what_they_know on [processes] "there is no worker program";
        are_counted_before_any_is_started on all;
    }
}
